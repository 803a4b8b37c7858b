// Package forward makes a port inside a network namespace reachable from outside it.
//
// A socket belongs to the namespace in which it was opened, wherever its process runs. So the listener is opened on the host's loopback
// and handed to a process inside the namespace, which dials the target there.
package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// ListenerFD is where the process finds its listener: the first file after the standard three.
const ListenerFD = 3

// Listen opens a free port of the host's loopback and gives it as a file for the forwarding process.
func Listen() (port int, file *os.File, err error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, nil, fmt.Errorf("cannot open a port on 127.0.0.1: %w", err)
	}
	defer func() { _ = listener.Close() }()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return 0, nil, errors.New("the listener on 127.0.0.1 is no TCP socket")
	}
	file, err = tcp.File()
	if err != nil {
		return 0, nil, fmt.Errorf("cannot hand the port on: %w", err)
	}
	return tcp.Addr().(*net.TCPAddr).Port, file, nil
}

// Serve forwards every connection of the listener to the target, for as long as the process lives.
func Serve(listener net.Listener, target string) error {
	for {
		outside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // out of file descriptors, say: it may pass
			fmt.Fprintln(os.Stderr, "cannot accept a connection:", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go join(outside, target)
	}
}

func join(outside net.Conn, target string) {
	defer func() { _ = outside.Close() }()
	inside, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return // the API server is away; its client sees a closed connection, and retries
	}
	defer func() { _ = inside.Close() }()
	done := make(chan struct{}, 2)
	go copyHalf(inside, outside, done)
	go copyHalf(outside, inside, done)
	<-done
	<-done
}

// copyHalf passes one direction on, and its end too: the other direction may have more to say.
func copyHalf(to, from net.Conn, done chan<- struct{}) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	done <- struct{}{}
}
