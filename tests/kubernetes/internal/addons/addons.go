// Package addons holds the objects that a cluster needs before anybody uses it.
package addons

import (
	"bytes"
	_ "embed" // for the manifests
	"fmt"
	"text/template"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Storage is the manifest of the storage classes.
//
//go:embed storage.yaml
var Storage []byte

//go:embed dns.yaml
var dnsTemplate string

// DNS gives the manifest of the cluster's DNS. With the cache an answer, "no such host" too, is kept for up to 30 s, as in most production
// clusters; without, a name resolves the moment its pod has an address.
func DNS(replicas int, cache bool) ([]byte, error) {
	parsed, err := template.New("dns.yaml").Option("missingkey=error").Parse(dnsTemplate)
	if err != nil {
		return nil, fmt.Errorf("the manifest of the DNS is faulty: %w", err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]any{
		"Domain": layout.ClusterDomain, "Image": layout.DNSImage, "IP": layout.DNSIP, "Replicas": replicas, "Cache": cache,
	})
	if err != nil {
		return nil, fmt.Errorf("the manifest of the DNS is faulty: %w", err)
	}
	return text.Bytes(), nil
}
