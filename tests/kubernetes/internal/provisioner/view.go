package provisioner

import (
	"path/filepath"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Name is what storage classes call this provisioner.
const Name = "kubebox.local/volumes"

const (
	madeByAnnotation       = "pv.kubernetes.io/provisioned-by"
	selectedNodeAnnotation = "volume.kubernetes.io/selected-node"
)

// View is all that the decisions depend on.
type View struct {
	Folder  string
	Classes map[string]*storage.StorageClass
	Nodes   map[string]*core.Node
	Volumes map[string]*core.PersistentVolume
}

// VolumeFor gives the volume that a claim waits for; nil if it waits for none of ours, or not yet.
func (v View) VolumeFor(claim *core.PersistentVolumeClaim) *core.PersistentVolume {
	class := v.class(claim)
	if class == nil || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return nil
	}
	name := "pvc-" + string(claim.UID)
	if v.Volumes[name] != nil {
		return nil
	}
	place := core.NodeSelectorRequirement{Key: core.LabelHostname, Operator: core.NodeSelectorOpExists}
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storage.VolumeBindingWaitForFirstConsumer {
		node := v.Nodes[claim.Annotations[selectedNodeAnnotation]]
		if node == nil {
			return nil // no pod that uses it has been placed yet
		}
		if zone := node.Labels[core.LabelTopologyZone]; zone != "" {
			place = core.NodeSelectorRequirement{Key: core.LabelTopologyZone, Operator: core.NodeSelectorOpIn, Values: []string{zone}}
		}
	}
	policy := core.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	mode := core.PersistentVolumeFilesystem
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{madeByAnnotation: Name}},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			VolumeMode:                    &mode,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: filepath.Join(v.Folder, name)}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{
				{MatchExpressions: []core.NodeSelectorRequirement{place}},
			}}},
			ClaimRef: &core.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
		},
	}
}

// Growth says whether a bound claim asks for more than it has, and for how much. It plays the part of a storage driver's resizer.
func (v View) Growth(claim *core.PersistentVolumeClaim) (resource.Quantity, bool) {
	wanted := claim.Spec.Resources.Requests[core.ResourceStorage]
	has, bound := claim.Status.Capacity[core.ResourceStorage]
	class := v.class(claim)
	if class == nil || !bound || claim.Spec.VolumeName == "" || class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion {
		return resource.Quantity{}, false
	}
	return wanted, wanted.Cmp(has) > 0
}

// Reclaimable says whether a volume, with its data, is to go: made here, released by its claim, not to be retained. The path is compared
// too, because what lies there is removed.
func Reclaimable(volume *core.PersistentVolume, folder string) bool {
	return volume.Annotations[madeByAnnotation] == Name &&
		volume.DeletionTimestamp == nil &&
		volume.Status.Phase == core.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete &&
		volume.Spec.Local != nil && volume.Spec.Local.Path == filepath.Join(folder, volume.Name)
}

// class gives the claim's storage class, if it is one of this provisioner's.
func (v View) class(claim *core.PersistentVolumeClaim) *storage.StorageClass {
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	if class := v.Classes[*claim.Spec.StorageClassName]; class != nil && class.Provisioner == Name {
		return class
	}
	return nil
}
