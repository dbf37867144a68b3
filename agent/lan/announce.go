package lan

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	// afresh is how often it is looked whether there are other links.
	afresh = time.Minute
	// pause is how long nothing is said twice (RFC 6762, 6).
	pause = time.Second
	// maxLabel leaves room for what host puts before it.
	maxLabel = 50
)

// Beside announces beside the caller's work until the function is called that it gives.
// That others cannot be answered is logged, and hinders nobody.
func Beside(ctx context.Context, at net.Addr, tls bool, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := Announce(ctx, at, tls, log); err != nil {
			log.Warn("other machines cannot find this one", "error", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Announce answers who looks for machines, until ctx ends: what is listened to at an
// address gives what this machine has. Where others cannot reach that, it says nothing.
func Announce(ctx context.Context, at net.Addr, tls bool, log *slog.Logger) error {
	listened, err := netip.ParseAddrPort(at.String())
	address := listened.Addr().Unmap()
	if err != nil || !address.IsUnspecified() && !inside(address) {
		log.Info("other machines do not find this one: what they look for is an address in a private IPv4 network", "address", at.String())
		return nil
	}
	s, err := open(ctx)
	if err != nil {
		return fmt.Errorf("answer other machines in the network: %w", err)
	}
	defer s.Close()
	a := announcer{socket: s, is: service{label(), listened.Port(), tls}, at: address, limits: map[int]*rate.Limiter{}}
	if err := a.run(); ctx.Err() == nil {
		return fmt.Errorf("answer other machines in the network: %w", err)
	}
	return nil
}

// label is what this machine is called, as a part of a name.
func label() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	return cmp.Or(name[:min(len(name), maxLabel)], "machine")
}

type announcer struct {
	*socket
	is     service
	at     netip.Addr // unspecified for all that the machine has
	limits map[int]*rate.Limiter
}

// run answers, and listens on links that come.
func (a announcer) run() error {
	buf := make([]byte, maxPacket)
	for {
		list, err := a.join()
		if err != nil {
			return err
		}
		if err := a.SetReadDeadline(time.Now().Add(afresh)); err != nil {
			return err
		}
		for err == nil {
			err = a.hear(buf, list)
		}
		if !isTimeout(err) {
			return err
		}
	}
}

// hear waits for a packet, and answers it if it asks.
func (a announcer) hear(buf []byte, list []link) error {
	n, about, _, err := a.ReadFrom(buf)
	if err != nil || !a.is.asked(buf[:n]) {
		return err
	}
	i := slices.IndexFunc(list, func(l link) bool { return cameBy(l, about) })
	if i < 0 {
		return nil
	}
	at, reached := a.reachedAt(list[i])
	if !reached {
		return nil
	}
	packet, err := a.is.answer(at)
	if err != nil {
		return err
	}
	a.answer(packet, list[i], at)
	return nil
}

// answer says it on a link at once, or when a second has passed since it was said there
// last: whoever asked in between hears it, too.
func (a announcer) answer(packet []byte, on link, at netip.Addr) {
	limit := a.limits[on.index]
	if limit == nil {
		limit = rate.NewLimiter(rate.Every(pause), 1)
		a.limits[on.index] = limit
	}
	turn := limit.Reserve()
	if wait := turn.Delay(); wait > pause {
		turn.Cancel() // it is going to be said
	} else {
		// What cannot be sent is not heard: who looks does without.
		time.AfterFunc(wait, func() { _ = a.say(packet, on, at) })
	}
}

// reachedAt is the address at which this machine is reached from a link.
func (a announcer) reachedAt(l link) (netip.Addr, bool) {
	for _, p := range l.nets {
		if a.at.IsUnspecified() || p.Addr() == a.at {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
