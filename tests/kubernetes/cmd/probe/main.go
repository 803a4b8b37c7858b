// Command probe is what the harness's self-test runs in pods: it counts its starts on a volume and answers over HTTP.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: probe serve FOLDER | lookup NAME | get URL")
	}
	switch verb, operand := arguments[0], arguments[1]; verb {
	case "serve":
		return serve(operand)
	case "lookup":
		addresses, err := net.LookupHost(operand)
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(addresses, "\n"))
		return nil
	case "get":
		return get(operand)
	default:
		return fmt.Errorf("there is no %q", verb)
	}
}

// serve notes its start on the volume, which must be writable, and answers with its name and the number of starts.
func serve(folder string) error {
	path := filepath.Join(folder, "starts")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, time.Now().UTC().Format(time.RFC3339Nano))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	starts, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	answer := fmt.Sprintf("%s start %d as user %d\n", name, strings.Count(string(starts), "\n"), os.Getuid())
	fmt.Print(answer)
	server := http.Server{
		Addr:              ":8080",
		Handler:           http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, answer) }),
		ReadHeaderTimeout: 5 * time.Second,
	}
	return server.ListenAndServe()
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	_, err = io.Copy(os.Stdout, io.LimitReader(response.Body, 1<<20))
	return err
}
