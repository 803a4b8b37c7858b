package forward

import (
	"io"
	"net"
	"testing"
)

func TestForwardsBothDirectionsAndTheEnd(t *testing.T) {
	target, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	go func() { // answers only after it has seen the end of the question
		connection, err := target.Accept()
		if err != nil {
			return
		}
		question, _ := io.ReadAll(connection)
		_, _ = connection.Write(append([]byte("re: "), question...))
		_ = connection.Close()
	}()

	_, file, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	served := make(chan error, 1)
	go func() { served <- Serve(listener, target.Addr().String()) }()

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = client.Write([]byte("hello"))
	_ = client.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "re: hello" {
		t.Errorf("the answer is %q, %v", answer, err)
	}
	_ = listener.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve ended with %v", err)
	}
}
