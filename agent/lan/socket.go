package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// port is the one of multicast DNS, group where everybody listens.
const port = 5353

func group() *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: port} }

// A socket hears what is said in the group, beside the system's own responder. It ends
// with its context.
type socket struct {
	*ipv4.PacketConn
	release func() bool
}

func open(ctx context.Context) (*socket, error) {
	shared := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var wrong error
		err := raw.Control(func(fd uintptr) { wrong = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		return errors.Join(err, wrong)
	}}
	conn, err := shared.ListenPacket(ctx, "udp4", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	s := &socket{ipv4.NewPacketConn(conn), context.AfterFunc(ctx, func() { conn.Close() })}
	// RFC 6762, 11: all is sent with a TTL of 255.
	if err := errors.Join(s.SetControlMessage(ipv4.FlagInterface, true), s.SetMulticastTTL(255)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *socket) Close() error {
	s.release()
	return s.PacketConn.Close()
}

// join listens on all links that there are now, and gives them.
func (s *socket) join() ([]link, error) {
	list, err := links()
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		// One that it listens on already is no error; on one where it cannot, nobody is found.
		_ = s.JoinGroup(&net.Interface{Index: l.index}, group())
	}
	return list, nil
}

// say sends a packet to the group on a link, from an address there or, if that is none,
// from the first.
func (s *socket) say(packet []byte, on link, from netip.Addr) error {
	_, err := s.WriteTo(packet, &ipv4.ControlMessage{IfIndex: on.index, Src: from.AsSlice()}, group())
	return err
}

// A link is a network that this machine is in, with its own addresses there.
type link struct {
	index int
	nets  []netip.Prefix
}

// links are the networks in which there may be others: private ones.
func links() ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []link
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || len(list) == maxLinks {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone
		}
		l := link{index: i.Index}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && inside(p.Addr()) {
				l.nets = append(l.nets, p)
			}
		}
		if len(l.nets) > 0 {
			list = append(list, l)
		}
	}
	return list, nil
}

// inside reports whether an address is one of a house.
func inside(a netip.Addr) bool { return a.Is4() && (a.IsPrivate() || a.IsLinkLocalUnicast()) }

// has reports whether an address is another machine's on this link.
func (l link) has(a netip.Addr) bool {
	within := false
	for _, p := range l.nets {
		if p.Addr() == a {
			return false
		}
		within = within || p.Contains(a)
	}
	return within && inside(a)
}
