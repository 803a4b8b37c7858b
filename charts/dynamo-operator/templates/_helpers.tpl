{{/* What selects the operator's pods; it cannot change. */}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: dynamo-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "operator.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}-operator
{{- end -}}

{{/* What the operator does within a namespace in which clusters live. */}}
{{- define "operator.rules" -}}
# The resources: read them, tell their status. Never write a spec, never delete one.
- apiGroups: [dynamokv.dev]
  resources: [dynamoclusters]
  verbs: [get, list, watch]
- apiGroups: [dynamokv.dev]
  resources: [dynamoclusters/status]
  verbs: [patch]
# An owner reference with a controller needs this where the API server guards it.
- apiGroups: [dynamokv.dev]
  resources: [dynamoclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch]
# The token: made once, never written again.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# The layout record: by create and by replace, never deleted.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, update]
# Volumes of retired members go, by uid.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, patch, delete]
# Pods are evicted, never deleted.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
