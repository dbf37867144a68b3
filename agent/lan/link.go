package lan

import (
	"errors"
	"net"
	"net/netip"
	"slices"
)

var errNowhere = errors.New("it is in no network in which others could hear it: one with multicast and a private or link-local address")

// A link is a network that this machine is in, with its own addresses there.
type link struct {
	index int
	name  string
	nets  []netip.Prefix
}

// links are the networks in which there may be others: with a private address of a family.
func links(of func(netip.Addr) bool) ([]link, error) {
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
		l := link{index: i.Index, name: i.Name}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && inside(p.Addr()) {
				l.nets = append(l.nets, p)
			}
		}
		if len(l.own(of)) > 0 {
			list = append(list, l)
		}
	}
	return list, nil
}

// inside reports whether an address is one of a house.
func inside(a netip.Addr) bool { return a.IsPrivate() || a.IsLinkLocalUnicast() }

// own are this machine's addresses there that are as wanted.
func (l link) own(wanted func(netip.Addr) bool) (list []netip.Addr) {
	for _, p := range l.nets {
		if wanted(p.Addr()) {
			list = append(list, p.Addr())
		}
	}
	return list
}

// near reports whether an address is of this network, maybe this machine's own.
func (l link) near(a netip.Addr) bool {
	return inside(a) && slices.ContainsFunc(l.nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// has reports whether an address is another machine's on this link.
func (l link) has(a netip.Addr) bool {
	return l.near(a) && len(l.own(func(own netip.Addr) bool { return own == a })) == 0
}

// at is an address on the link as the rest of this machine has to call it.
func (l link) at(a netip.Addr) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(l.name)
	}
	return a
}
