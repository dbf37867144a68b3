package lan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Look looks for machines that give what they have, for a second or, if nobody answers,
// for two. It gives their addresses, http://IP:PORT or https://IP:PORT, in order: those by
// IPv4 first, and by IPv6 whoever was not found so.
func Look(ctx context.Context) ([]string, error) {
	found, err := look(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for other machines in the network: %w", err)
	}
	return found, nil
}

func look(ctx context.Context) ([]string, error) {
	sockets, err := openAll(ctx, families())
	defer closeAll(sockets)
	if len(sockets) == 0 {
		return nil, err
	}
	for range questions {
		found, wrong := ask(ctx, sockets)
		if len(found) > 0 {
			return found, nil
		}
		if wrong != nil {
			return nil, errors.Join(err, wrong)
		}
	}
	return nil, err
}

// A peer is who has answered.
type peer struct {
	machine string
	at      string
}

// ask asks once by each socket.
func ask(ctx context.Context, sockets []*socket) ([]string, error) {
	found, wrong := make([][]peer, len(sockets)), make([]error, len(sockets))
	var all errgroup.Group
	for i, s := range sockets {
		all.Go(func() error {
			found[i], wrong[i] = s.look(ctx)
			return nil
		})
	}
	_ = all.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return merge(found...), trouble(wrong)
}

// merge joins what was found by each family: who was found by one is not taken again by
// the next.
func merge(found ...[]peer) (list []string) {
	var known []peer
	for _, more := range found {
		more = slices.DeleteFunc(slices.Clone(more), func(p peer) bool {
			return slices.ContainsFunc(known, func(k peer) bool { return k.machine == p.machine })
		})
		slices.SortFunc(more, func(a, b peer) int { return cmp.Compare(a.at, b.at) })
		known = append(known, more...)
	}
	for _, p := range known[:min(len(known), maxPeers)] {
		list = append(list, p.at)
	}
	return list
}

// trouble is why nobody could be asked by any socket. To be in no network is one reason
// only if it is so by each.
func trouble(wrong []error) error {
	if slices.Contains(wrong, nil) {
		return nil
	}
	return cmp.Or(errors.Join(slices.DeleteFunc(wrong, func(err error) bool { return err == errNowhere })...), errNowhere)
}

// look asks on all links on which that can be done, and gathers answers for a second, or
// until there are enough: the first of each sender.
func (s *socket) look(ctx context.Context) (found []peer, err error) {
	asked, err := s.ask()
	if err != nil {
		return nil, err
	}
	if err := s.until(ctx, time.Now().Add(patience)); err != nil {
		return nil, err
	}
	buf, heard := make([]byte, maxPacket), []netip.Addr{}
	for len(found) < maxPeers {
		packet, by, from, err := s.next(buf, asked)
		if isTimeout(err) {
			break
		}
		if err != nil {
			return nil, err
		}
		if says, ok := read(packet); ok && by.has(from) && !slices.Contains(heard, by.at(from)) {
			heard = append(heard, by.at(from))
			found = append(found, peer{says.machine, says.at(by.at(from))})
		}
	}
	return found, nil
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
	if len(list) == 0 {
		return nil, errNowhere
	}
	for _, l := range list {
		if wrong := s.say(packet, l.index, netip.Addr{}, s.to()); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", l.name, wrong))
			continue
		}
		asked = append(asked, l)
	}
	if len(asked) > 0 {
		return asked, nil
	}
	return nil, err
}

// at is where the service is, at a sender's address.
func (s service) at(sender netip.Addr) string {
	u := url.URL{Scheme: "http", Host: netip.AddrPortFrom(sender, s.port).String()}
	if s.tls {
		u.Scheme = "https"
	}
	return u.String()
}
