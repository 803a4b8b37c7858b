package controlplane

import (
	"os"
	"slices"
	"strings"
	"testing"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

func TestEveryFileThatAProgramReadsIsWritten(t *testing.T) {
	home := layout.Home(t.TempDir())
	nodes := home.Nodes(2)
	if _, err := NewCredentials(home, nodes); err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		for _, argument := range Args(name, home) {
			_, value, _ := strings.Cut(argument, "=")
			if !strings.HasPrefix(value, home.PKI()) {
				continue
			}
			info, err := os.Stat(value)
			if err != nil {
				t.Errorf("%s is started with %s: %v", name, argument, err)
			} else if info.Mode().Perm() != 0o600 {
				t.Errorf("others can read %s", value)
			}
		}
	}
	for _, each := range nodes {
		if _, err := os.Stat(home.ComponentKubeconfig(each.Name())); err != nil {
			t.Error(err)
		}
	}
}

func TestAuthorizationIsOn(t *testing.T) {
	if !slices.Contains(Args(APIServer, "/h"), "--authorization-mode=Node,RBAC") {
		t.Error("the API server would allow everything")
	}
}
