package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/pki"
)

// Credentials is what every client of a fresh cluster's API server needs.
type Credentials struct {
	home      layout.Home
	authority *pki.Authority
}

// Server is the API server's address for everything inside the cluster's namespaces.
var Server = fmt.Sprintf("https://%s:%d", layout.ControlPlaneIP, layout.APIPort)

// NewCredentials makes the keys and certificates of a cluster and writes what its programs read.
func NewCredentials(home layout.Home, nodes []layout.Node) (*Credentials, error) {
	if err := os.MkdirAll(home.PKI(), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of keys: %w", err)
	}
	authority, err := pki.NewAuthority("kubebox")
	if err != nil {
		return nil, err
	}
	credentials := &Credentials{home: home, authority: authority}
	if err := credentials.save("ca", authority.Pair); err != nil {
		return nil, err
	}
	if err := credentials.saveSigner(); err != nil {
		return nil, err
	}
	pairs := map[string]pki.Subject{
		"apiserver": {Name: APIServer, Hosts: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + layout.ClusterDomain,
			"127.0.0.1", layout.ServiceIP, layout.ControlPlaneIP,
		}},
		"kubelet-client": {Name: "apiserver-kubelet-client", Groups: []string{"system:masters"}},
		"front-proxy":    {Name: "front-proxy-client"},
	}
	for _, node := range nodes {
		pairs["kubelet-"+node.Name()] = pki.Subject{Name: "system:node:" + node.Name(), Groups: []string{"system:nodes"}, Hosts: []string{node.Name(), node.IP()}}
	}
	for name, subject := range pairs {
		pair, err := authority.Issue(subject)
		if err != nil {
			return nil, err
		}
		if err := credentials.save(name, pair); err != nil {
			return nil, err
		}
	}
	return credentials, credentials.writeComponents(nodes)
}

// writeComponents writes the kubeconfigs of all that runs inside the cluster's namespaces. The names of the subjects are those to which
// Kubernetes' built-in roles are bound.
func (c *Credentials) writeComponents(nodes []layout.Node) error {
	subjects := map[string]pki.Subject{
		ControllerManager: {Name: "system:kube-controller-manager"},
		Scheduler:         {Name: "system:kube-scheduler"},
		"kube-proxy":      {Name: "system:kube-proxy"},
		"admin":           {Name: "kubebox-inside", Groups: []string{"system:masters"}},
	}
	for _, node := range nodes {
		subjects[node.Name()] = pki.Subject{Name: "system:node:" + node.Name(), Groups: []string{"system:nodes"}}
	}
	for name, subject := range subjects {
		if err := c.writeKubeconfig(c.home.ComponentKubeconfig(name), Server, subject); err != nil {
			return err
		}
	}
	return nil
}

// WriteAdmin writes the administrator's kubeconfig for use from the host, where the API server is at the given port of the loopback.
func (c *Credentials) WriteAdmin(port int) error {
	return c.writeKubeconfig(c.home.Kubeconfig(), fmt.Sprintf("https://127.0.0.1:%d", port),
		pki.Subject{Name: "kubebox-admin", Groups: []string{"system:masters"}})
}

func (c *Credentials) writeKubeconfig(path, server string, subject pki.Subject) error {
	pair, err := c.authority.Issue(subject)
	if err != nil {
		return err
	}
	text, err := pki.Kubeconfig(server, c.authority.Certificate, pair)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("cannot write the kubeconfig of %s: %w", subject.Name, err)
	}
	return nil
}

func (c *Credentials) saveSigner() error {
	private, public, err := pki.NewSigner()
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"accounts.key": private, "accounts.pub": public} {
		if err := c.write(name, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *Credentials) save(name string, pair pki.Pair) error {
	if err := c.write(name+".crt", pair.Certificate); err != nil {
		return err
	}
	return c.write(name+".key", pair.Key)
}

func (c *Credentials) write(name string, text []byte) error {
	if err := os.WriteFile(filepath.Join(c.home.PKI(), name), text, 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}
