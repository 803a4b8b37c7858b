package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"testing"
)

func TestIssuedCertificatesJoinInMutualTLS(t *testing.T) {
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Issue(Subject{Name: "server", Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue(Subject{Name: "admin", Groups: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority.Certificate) {
		t.Fatal("the authority's certificate is no PEM")
	}
	here, there := net.Pipe()
	defer func() { _, _ = here.Close(), there.Close() }()
	serving := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{load(t, server)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
	done := make(chan error, 1)
	go func() { done <- serving.Handshake() }()
	if err := tls.Client(here, &tls.Config{Certificates: []tls.Certificate{load(t, client)}, RootCAs: roots, ServerName: "127.0.0.1"}).Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	peer := serving.ConnectionState().PeerCertificates[0].Subject
	if peer.CommonName != "admin" || len(peer.Organization) != 1 || peer.Organization[0] != "system:masters" {
		t.Errorf("the server saw %v", peer)
	}
}

func TestClientCertificateIsNoServer(t *testing.T) {
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue(Subject{Name: "node"})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.certificate)
	leaf, err := x509.ParseCertificate(load(t, client).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a client's certificate passes for a server's")
	}
}

func TestKubeconfigIsReadable(t *testing.T) {
	text, err := Kubeconfig("https://127.0.0.1:1", []byte("ca"), Pair{Certificate: []byte("crt"), Key: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read.Clusters[0].Cluster.Server != "https://127.0.0.1:1" || string(read.Clusters[0].Cluster.CA) != "ca" {
		t.Errorf("read back %+v", read)
	}
}

func load(t *testing.T, pair Pair) tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
