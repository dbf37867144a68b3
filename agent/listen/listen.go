// Package listen opens what the agent is reached through over HTTP, and serves
// it: a socket, an address of this machine alone, or, with TLS or an explicit
// word, one that others reach. Whoever connects is bounded in time, in what is
// read of them, and in number.
package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Group is whose members may use the agent's sockets, besides root.
const Group = "gitboot"

const socketScheme = "unix://"

// Options say where to listen.
type Options struct {
	// Address is HOST:PORT, the host an IP address, or unix:///PATH.
	Address string
	// Cert and Key are files (PEM); with them it is TLS.
	Cert, Key string
	// Insecure is the explicit word: no TLS though others reach the address.
	Insecure bool
	// Local refuses an address that others reach, whatever it is protected by.
	Local bool
	// Group owns a socket, "" for root's: its members may connect, too.
	Group string
}

// Check says what is wrong with the options, and what to do about it.
func (o Options) Check() error {
	if (o.Cert == "") != (o.Key == "") {
		return errors.New("tls_cert and tls_key belong together; give both or neither")
	}
	if path, ok := strings.CutPrefix(o.Address, socketScheme); ok {
		switch {
		case !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/":
			return fmt.Errorf("%q is no socket of this machine; write unix:///PATH, with three slashes", o.Address)
		case len(path) > maxSocketPath:
			return fmt.Errorf("%q is too long: the kernel takes %d bytes of a socket's path; choose a shorter one", o.Address, maxSocketPath)
		}
		return nil
	}
	at, err := netip.ParseAddrPort(o.Address)
	if err != nil || at.Addr().Zone() != "" {
		return fmt.Errorf("%q is neither IP:PORT nor unix:///PATH; write for example 127.0.0.1:8373", o.Address)
	}
	loopback := at.Addr().Unmap().IsLoopback()
	if !loopback && o.Local {
		return fmt.Errorf("%s can be reached from other machines; listen on 127.0.0.1, and reach it from elsewhere through `ssh -L`", o.Address)
	}
	if !loopback && o.Cert == "" && !o.Insecure {
		return fmt.Errorf("%s can be reached from other machines, and what is said to it could be read on the way; "+
			"listen on 127.0.0.1 behind a proxy, give tls_cert and tls_key, or write insecure = true", o.Address)
	}
	return nil
}

// Open listens.
func (o Options) Open() (net.Listener, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(o.Address, socketScheme); ok {
		return openSocket(path, o.Group)
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	if err := bound(l.(*net.TCPListener)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", o.Address, err), l.Close())
	}
	if o.Cert == "" {
		return l, nil
	}
	pair := &certificate{cert: o.Cert, key: o.Key}
	if _, err := pair.current(nil); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", o.Address, err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.current, NextProtos: []string{"http/1.1"}}), nil
}

// bound has few connections wait: one that waits behind thousands is answered
// when nobody listens any more.
func bound(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var wrong error
	err = raw.Control(func(fd uintptr) { wrong = unix.Listen(int(fd), waiting) })
	return errors.Join(err, wrong)
}
