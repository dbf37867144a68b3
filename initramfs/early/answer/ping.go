package answer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Types of ICMP messages (RFC 792, RFC 4443).
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// Ping reports why a host doesn't answer an echo request.
func Ping(host netip.Addr, limit time.Duration) error {
	family, address, err := socketAddress(netip.AddrPortFrom(host, 0))
	if err != nil {
		return err
	}
	protocol, request := unix.IPPROTO_ICMP, echo(echoRequest4)
	if family == unix.AF_INET6 {
		protocol, request = unix.IPPROTO_ICMPV6, echo(echoRequest6)
	}
	fd, err := open(family, unix.SOCK_RAW, protocol, limit)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, address); err != nil {
		return fmt.Errorf("sending to %s: %w", host, err)
	}
	buf := make([]byte, 1500)
	for until := time.Now().Add(limit); time.Now().Before(until); {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return errTime(limit)
		case err != nil:
			return fmt.Errorf("reading the answer of %s: %w", host, err)
		case answers(buf[:n], request, family):
			return nil
		}
	}
	return errTime(limit)
}

// echo is an echo request with this process's id.
func echo(kind byte) []byte {
	m := []byte{kind, 0, 0, 0, 0, 0, 0, 1, 'g', 'i', 't', 'b', 'o', 'o', 't', 0}
	binary.BigEndian.PutUint16(m[4:], uint16(os.Getpid()))
	binary.BigEndian.PutUint16(m[2:], checksum(m)) // of ICMPv6 the kernel does it
	return m
}

// checksum is that of RFC 1071, over an even number of bytes.
func checksum(m []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(m); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// answers reports whether a message answers the request. IPv4's raw sockets give
// its header, too.
func answers(m, request []byte, family int) bool {
	reply := byte(echoReply6)
	if family == unix.AF_INET {
		reply = echoReply4
		if len(m) == 0 || len(m) < int(m[0]&15)*4 {
			return false
		}
		m = m[int(m[0]&15)*4:]
	}
	return len(m) >= len(request) && m[0] == reply && string(m[4:len(request)]) == string(request[4:])
}
