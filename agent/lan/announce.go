package lan

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

const (
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
		log.Warn("other machines do not find this one: none of a house reaches what is listened to; listen on 0.0.0.0, or on a private or link-local address that it has", "address", at.String())
		return nil
	}
	if err := announce(ctx, service{label(), listened.Port(), tls}, address, log); err != nil && ctx.Err() == nil {
		return fmt.Errorf("answer other machines in the network: %w", err)
	}
	return nil
}

func announce(ctx context.Context, is service, at netip.Addr, log *slog.Logger) error {
	// All that this machine has, or that one.
	reached := func(a netip.Addr) bool { return at.IsUnspecified() || a == at }
	var ways []family
	for _, f := range families() {
		if at.IsUnspecified() || f.of(at) {
			ways = append(ways, f)
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	sockets, err := openAll(ctx, ways) // so that the end of one part is that of all
	defer closeAll(sockets)
	if len(sockets) == 0 {
		return err
	}
	if err != nil {
		log.Warn("some other machines cannot find this one", "error", err)
	}
	news, err := listen()
	if err != nil {
		return fmt.Errorf("listen for changes of its networks: %w", err)
	}
	defer news.Close()
	all.Go(func() error { return watch(ctx, news, func() { renew(sockets) }) })
	for _, s := range sockets {
		a := announcer{s, is, reached, map[int]*spoken{}}
		all.Go(func() error { return a.run(ctx) })
	}
	return all.Wait()
}

// renew has sockets look again which links there are.
func renew(sockets []*socket) {
	for _, s := range sockets {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // it is closed otherwise
	}
}

// label is what this machine is called, as a part of a name.
func label() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	return cmp.Or(name[:min(len(name), maxLabel)], "machine")
}

type announcer struct {
	*socket
	is      service
	reached func(netip.Addr) bool // whether it is listened at an address
	spoken  map[int]*spoken
}

// spoken is what has been said on a link.
type spoken struct {
	limit *rate.Limiter
	last  statement
}

// A statement is made on a link from an address there.
type statement struct {
	on   link
	from netip.Addr
	all  []netip.Addr // at which it is reached
}

// run answers until ctx ends, and takes its word back then.
func (a announcer) run(ctx context.Context) error {
	buf := make([]byte, maxPacket)
	for {
		// From here on a change of links ends hearing.
		if err := a.until(ctx, time.Time{}); err != nil {
			a.takeBack()
			return err
		}
		list, err := a.join()
		for err == nil {
			err = a.hearOne(buf, list)
		}
		if !isTimeout(err) {
			return err
		}
	}
}

// hearOne waits for a packet, and answers it if it asks.
func (a announcer) hearOne(buf []byte, list []link) error {
	packet, by, _, err := a.next(buf, list)
	if err != nil || !a.is.asked(packet) {
		return err
	}
	s := statement{on: by, all: by.own(a.reached)}
	for _, own := range s.all {
		if a.of(own) {
			s.from = own
			return a.answer(s)
		}
	}
	return nil
}

// answer says it on a link at once, or when a second has passed since it was said there
// last: whoever asked in between hears it, too.
func (a announcer) answer(s statement) error {
	packet, err := a.is.answer(s.all, lifetime)
	if err != nil {
		return err
	}
	said := a.spoken[s.on.index]
	if said == nil {
		said = &spoken{limit: rate.NewLimiter(rate.Every(pause), 1)}
		a.spoken[s.on.index] = said
	}
	said.last = s
	if wait, due := turn(said.limit, time.Now()); due {
		// What cannot be sent is not heard: who looks does without.
		time.AfterFunc(wait, func() { _ = a.say(packet, s.on.index, s.from, a.to()) })
	}
	return nil
}

// turn is how long is waited until something is said, if it is not going to be anyway.
func turn(limit *rate.Limiter, now time.Time) (wait time.Duration, due bool) {
	next := limit.ReserveN(now, 1)
	if wait = next.DelayFrom(now); wait > pause {
		next.CancelAt(now)
		return 0, false
	}
	return wait, true
}

// takeBack tells all who were told of this machine that it is there no more.
func (a announcer) takeBack() {
	for _, said := range a.spoken {
		if packet, err := a.is.answer(said.last.all, 0); err == nil {
			_ = a.say(packet, said.last.on.index, said.last.from, a.to())
		}
	}
}
