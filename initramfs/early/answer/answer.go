// Package answer asks hosts on a network whether they answer: by an echo
// request, by a connection, by a plain HTTP request. It does so with the
// kernel's sockets alone, because package net would double what is loaded at
// every boot; names are not its business.
package answer

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Connect reports why nobody accepts a connection.
func Connect(to netip.AddrPort, limit time.Duration) error {
	fd, err := dial(to, limit)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// Get asks for a path with HTTP/1.0 and reports why the answer's status is not
// 2xx.
func Get(to netip.AddrPort, authority, path string, limit time.Duration) error {
	fd, err := dial(to, limit)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := "GET " + path + " HTTP/1.0\r\nHost: " + authority + "\r\nUser-Agent: gitboot\r\nConnection: close\r\n\r\n"
	if err := unix.Sendto(fd, []byte(request), unix.MSG_NOSIGNAL, nil); err != nil {
		return fmt.Errorf("asking %s: %w", to, err)
	}
	line, err := firstLine(fd, time.Now().Add(limit))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", to, err)
	}
	return checkStatus(line)
}

// firstLine reads until a line is there.
func firstLine(fd int, until time.Time) (string, error) {
	var got []byte
	for buf := make([]byte, 512); len(got) < 4096 && time.Now().Before(until); {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		got = append(got, buf[:n]...)
		if line, _, ok := bytes.Cut(got, []byte("\r\n")); ok {
			return string(line), nil
		}
		if n == 0 {
			break
		}
	}
	return "", errors.New("it is no HTTP")
}

// checkStatus reads "HTTP/1.1 200 OK" (RFC 9112, section 4).
func checkStatus(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	switch {
	case !strings.HasPrefix(version, "HTTP/1.") || err != nil:
		return errors.New("the answer is no HTTP")
	case n < 200 || n > 299:
		return fmt.Errorf("the answer has status %d, not 200", n)
	}
	return nil
}

func dial(to netip.AddrPort, limit time.Duration) (fd int, err error) {
	family, address, err := socketAddress(to)
	if err != nil {
		return -1, err
	}
	if fd, err = open(family, unix.SOCK_STREAM, 0, limit); err != nil {
		return -1, err
	}
	// SO_SNDTIMEO limits connect, too, which then says EINPROGRESS (socket(7))
	err = unix.Connect(fd, address)
	if errors.Is(err, unix.EINPROGRESS) {
		err = errTime(limit)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connecting to %s: %w", to, err)
	}
	return fd, nil
}

func errTime(limit time.Duration) error { return fmt.Errorf("there is no answer within %v", limit) }

// open makes a socket whose every call ends.
func open(family, kind, protocol int, limit time.Duration) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	t := unix.NsecToTimeval(limit.Nanoseconds())
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &t); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("limiting a socket: %w", err)
		}
	}
	return fd, nil
}

func socketAddress(to netip.AddrPort) (family int, address unix.Sockaddr, err error) {
	if to.Addr().Unmap().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}, nil
	}
	six := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if zone := to.Addr().Zone(); zone != "" {
		text, err := os.ReadFile("/sys/class/net/" + zone + "/ifindex")
		if err != nil {
			return 0, nil, fmt.Errorf("finding the network interface %s: %w", zone, err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		if err != nil {
			return 0, nil, err
		}
		six.ZoneId = uint32(n)
	}
	return unix.AF_INET6, six, nil
}
