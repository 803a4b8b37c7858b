package addons

import (
	"strings"
	"testing"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

func TestDNSCacheIsAChoice(t *testing.T) {
	for _, cache := range []bool{true, false} {
		text, err := DNS(2, cache)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "disable denial") == cache {
			t.Errorf("with cache %v the Corefile says otherwise", cache)
		}
		for _, want := range []string{"replicas: 2", "image: " + layout.DNSImage, "clusterIP: " + layout.DNSIP} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the manifest lacks %q", want)
			}
		}
	}
}
