package pki

import (
	"encoding/json"
	"fmt"
)

// Kubeconfig writes a configuration with which kubectl and every client library reaches the server as the client. It carries the
// certificates themselves, so that the file can be copied. It is JSON, which every reader of YAML takes.
func Kubeconfig(server string, authority []byte, client Pair) ([]byte, error) {
	const name = "kubebox"
	type object = map[string]any
	config := object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": authority}}},
		"users":           []object{{"name": name, "user": object{"client-certificate-data": client.Certificate, "client-key-data": client.Key}}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": name}}},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write a kubeconfig for %s: %w", server, err)
	}
	return append(text, '\n'), nil
}
