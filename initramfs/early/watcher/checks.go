package watcher

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/answer"
	"github.com/gitboot/gitboot/initramfs/early/child"
)

const (
	// commandLimit is for each command, hostLimit for each host.
	commandLimit = time.Minute
	hostLimit    = 5 * time.Second
	// maxOutput is how much of what a command prints is told.
	maxOutput = 500
)

// A check is one thing that has to be well.
type check struct {
	what string
	run  func(ctx context.Context) error
}

// checksOf lists what is declared: what needs nothing to be started first.
func checksOf(c *deployment.Checks, init func() initSystem) (list []check) {
	if c == nil {
		return nil
	}
	for _, host := range c.Hosts {
		list = append(list, check{"host " + host, func(ctx context.Context) error { return reach(ctx, host) }})
	}
	for _, unit := range c.Units {
		list = append(list, check{"unit " + unit, func(ctx context.Context) error { return init().active(ctx, unit) }})
	}
	for _, argv := range c.Commands {
		list = append(list, check{"command " + strings.Join(argv, " "), func(ctx context.Context) error { return command(ctx, argv) }})
	}
	return list
}

func command(ctx context.Context, argv []string) error {
	out, err := child.Program{Argv: argv, Limit: commandLimit, Output: maxOutput}.Run(ctx)
	if err != nil && len(out) > 0 {
		return fmt.Errorf("%w: %s", err, out)
	}
	return err
}

// reach reports why a host does not answer, at none of its addresses.
func reach(ctx context.Context, host string) error {
	h, err := deployment.ParseHost(host)
	if err != nil {
		return err
	}
	return atAny(ctx, h, func(a netip.AddrPort) error {
		if h.Port == 0 {
			return answer.Ping(a.Addr(), hostLimit)
		}
		return answer.Connect(a, hostLimit)
	})
}

// get reports why a URL does not answer.
func get(ctx context.Context, url string) error {
	u, err := deployment.ParseURL(url)
	if err != nil {
		return err
	}
	return atAny(ctx, u.Host, func(a netip.AddrPort) error { return answer.Get(a, u.Authority, u.Path, hostLimit) })
}

// atAny tries all addresses of a host until one does.
func atAny(ctx context.Context, h deployment.Host, try func(netip.AddrPort) error) error {
	addresses, err := resolve(ctx, h.Name)
	for _, a := range addresses {
		if err = try(netip.AddrPortFrom(a, h.Port)); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// resolve asks the image's getent for a name's addresses: the image knows how its
// names are resolved.
func resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	out, err := child.Program{Argv: []string{"getent", "ahosts", name}, Limit: hostLimit, Output: 4096}.Run(ctx)
	var addresses []netip.Addr
	for line := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(line, " ")
		if a, err := netip.ParseAddr(word); err == nil && !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("getent of the image does not resolve %s (%v); an address needs none", name, err)
	}
	return addresses, nil
}

// confirmed reports whether somebody has confirmed the boot: the file is there,
// and root's.
func confirmed() bool {
	info, err := os.Lstat(deployment.ConfirmFile)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}

// makeConfirmDir makes the folder for the file, whatever the image has mounted
// there since.
func makeConfirmDir() { _ = os.MkdirAll(filepath.Dir(deployment.ConfirmFile), 0o755) }
