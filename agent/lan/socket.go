package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// port is the one of multicast DNS.
const port = 5353

// A family is a version of IP.
type family struct {
	network string
	group   net.IP // where everybody listens
	of      func(netip.Addr) bool
	take    func(net.PacketConn) (conn, error)
}

func families() []family {
	return []family{
		{"udp4", net.IPv4(224, 0, 0, 251), netip.Addr.Is4, takeIPv4},
		{"udp6", net.ParseIP("ff02::fb"), netip.Addr.Is6, takeIPv6},
	}
}

// A conn tells, and is told, by which link a packet comes and goes.
type conn interface {
	hear(buf []byte) (n, link int, from net.Addr, err error)
	// say sends from an address or, if that is none, from the link's first.
	say(packet []byte, link int, from netip.Addr, to net.Addr) error
	JoinGroup(*net.Interface, net.Addr) error
	SetReadDeadline(time.Time) error
	Close() error
}

// A socket hears what is said in the group, beside the system's own responder.
type socket struct {
	conn
	family
	release func() bool
}

// open opens a socket that hears nothing any more once its context has ended.
func (f family) open(ctx context.Context) (*socket, error) {
	shared := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		wrong := raw.Control(func(fd uintptr) {
			// Some responders share it by the one, some by the other.
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		})
		return errors.Join(wrong, err)
	}}
	packets, err := shared.ListenPacket(ctx, f.network, fmt.Sprintf(":%d", port))
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return nil, errNowhere
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("%w: a program has the port of multicast DNS to itself; `ss -ulpn sport = :%d` says which: end it, or have it share the port", err, port)
	case err != nil:
		return nil, err
	}
	c, err := f.take(packets)
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return &socket{c, f, context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })}, nil
}

// openAll opens a socket for each family that this machine has.
func openAll(ctx context.Context, of []family) (list []*socket, err error) {
	for _, f := range of {
		s, wrong := f.open(ctx)
		if wrong == nil {
			list = append(list, s)
		} else if !errors.Is(wrong, errNowhere) {
			err = errors.Join(err, wrong)
		}
	}
	if len(list) == 0 && err == nil {
		err = errNowhere
	}
	return list, err
}

func closeAll(list []*socket) {
	for _, s := range list {
		s.release()
		_ = s.Close() // nothing is written that this could lose
	}
}

// until sets when hearing ends, which it does with ctx in any case.
func (s *socket) until(ctx context.Context, t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return ctx.Err()
}

// join listens on all links that there are now, and gives them.
func (s *socket) join() ([]link, error) {
	list, err := links(s.of)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		// One that it listens on already is no error; on one where it cannot, nobody is found.
		_ = s.JoinGroup(&net.Interface{Index: l.index}, s.to())
	}
	return list, nil
}

func (s *socket) to() *net.UDPAddr { return &net.UDPAddr{IP: s.group, Port: port} }

// next waits for a packet that came by one of the links from a machine there.
func (s *socket) next(buf []byte, list []link) (packet []byte, by link, from netip.Addr, err error) {
	for {
		n, index, sender, err := s.hear(buf)
		if err != nil {
			return nil, link{}, netip.Addr{}, err
		}
		udp, ok := sender.(*net.UDPAddr)
		if !ok || udp.Port != port {
			continue
		}
		from := udp.AddrPort().Addr().Unmap().WithZone("")
		for _, l := range list {
			if l.index == index && l.near(from) {
				return buf[:n], l, from, nil
			}
		}
	}
}

type overIPv4 struct{ *ipv4.PacketConn }

func takeIPv4(c net.PacketConn) (conn, error) {
	p := ipv4.NewPacketConn(c)
	// RFC 6762, 11: all is sent with a TTL of 255.
	return overIPv4{p}, errors.Join(p.SetControlMessage(ipv4.FlagInterface, true), p.SetMulticastTTL(255))
}

func (c overIPv4) hear(buf []byte) (n, link int, from net.Addr, err error) {
	n, about, from, err := c.ReadFrom(buf)
	if about != nil {
		link = about.IfIndex
	}
	return n, link, from, err
}

func (c overIPv4) say(packet []byte, link int, from netip.Addr, to net.Addr) error {
	_, err := c.WriteTo(packet, &ipv4.ControlMessage{IfIndex: link, Src: from.AsSlice()}, to)
	return err
}

type overIPv6 struct{ *ipv6.PacketConn }

func takeIPv6(c net.PacketConn) (conn, error) {
	p := ipv6.NewPacketConn(c)
	return overIPv6{p}, errors.Join(p.SetControlMessage(ipv6.FlagInterface, true), p.SetMulticastHopLimit(255))
}

func (c overIPv6) hear(buf []byte) (n, link int, from net.Addr, err error) {
	n, about, from, err := c.ReadFrom(buf)
	if about != nil {
		link = about.IfIndex
	}
	return n, link, from, err
}

func (c overIPv6) say(packet []byte, link int, from netip.Addr, to net.Addr) error {
	_, err := c.WriteTo(packet, &ipv6.ControlMessage{IfIndex: link, Src: from.AsSlice()}, to)
	return err
}
