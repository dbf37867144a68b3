package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
)

// Look looks for a second for machines that give what they have, and gives their
// addresses, http://IP:PORT or https://IP:PORT, in order.
func Look(ctx context.Context) ([]string, error) {
	found, err := look(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for other machines in the network: %w", err)
	}
	slices.Sort(found)
	return found, nil
}

func look(ctx context.Context) ([]string, error) {
	s, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	asked, err := s.ask()
	if err != nil {
		return nil, err
	}
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	found, err := s.collect(asked)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if isTimeout(err) {
		err = nil
	}
	return found, err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// ask asks on all links on which that can be done.
func (s *socket) ask() (asked []link, err error) {
	packet, err := question()
	if err != nil {
		return nil, err
	}
	list, err := s.join()
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if wrong := s.say(packet, l, netip.Addr{}); wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		asked = append(asked, l)
	}
	if len(asked) > 0 {
		return asked, nil
	}
	return nil, errors.Join(errors.New("it is in no private IPv4 network"), err)
}

// collect gathers answers until there are enough, or no time is left: the first of each
// sender.
func (s *socket) collect(asked []link) (found []string, err error) {
	buf, heard := make([]byte, maxPacket), []netip.Addr{}
	for len(found) < maxPeers {
		n, about, from, err := s.ReadFrom(buf)
		if err != nil {
			return found, err
		}
		sender := netip.Addr{}
		if udp, ok := from.(*net.UDPAddr); ok && udp.Port == port {
			sender = udp.AddrPort().Addr().Unmap()
		}
		if !slices.ContainsFunc(asked, func(l link) bool { return cameBy(l, about) && l.has(sender) }) {
			continue
		}
		if peer, ok := read(buf[:n]); ok && !slices.Contains(heard, sender) {
			heard, found = append(heard, sender), append(found, peer.at(sender))
		}
	}
	return found, nil
}

func cameBy(l link, about *ipv4.ControlMessage) bool {
	return about != nil && about.IfIndex == l.index
}

func (s service) at(sender netip.Addr) string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return scheme + "://" + netip.AddrPortFrom(sender, s.port).String()
}
