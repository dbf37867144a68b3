package rescue

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/rescue/folder"
)

// A Network is how the network is reached.
type Network folder.Network

// pause is between two tries of what did not work.
const pause = 5 * time.Second

// Up brings each interface up as it appears, until ctx ends. Addresses of IPv6 come
// from routers, by the kernel.
func (n Network) Up(ctx context.Context, log *slog.Logger) error {
	updates, done := make(chan netlink.LinkUpdate, 16), make(chan struct{})
	if err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{ListExisting: true}); err != nil {
		return fmt.Errorf("watch for network interfaces: %w", err)
	}
	defer close(done)
	seen := map[int]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			a := u.Attrs()
			if seen[a.Index] || a.Flags&net.FlagLoopback != 0 || !physical(a.Name) {
				continue
			}
			seen[a.Index] = true
			log := log.With("interface", a.Name)
			if err := netlink.LinkSetUp(u.Link); err != nil {
				log.Error("the interface stays down", "error", err)
				continue
			}
			switch {
			case n.Address == "":
				go keepLease(ctx, u.Link, log)
			case n.Interface == "" && len(seen) == 1, n.Interface == a.Name:
				if err := n.fix(u.Link); err != nil {
					log.Error("the interface has no address", "error", err)
				}
			}
		}
	}
}

// physical reports whether an interface has a device: bridges, tunnels and their
// like have none.
func physical(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name + "/device")
	return err == nil
}

// fix gives an interface the declared address.
func (n Network) fix(link netlink.Link) error {
	addr, err := netlink.ParseAddr(n.Address)
	if err != nil {
		return fmt.Errorf("address %s: %w", n.Address, err)
	}
	return configure(link, addr, net.ParseIP(n.Gateway), n.Nameservers)
}

// configure sets an address, the way to all others, and who knows names.
func configure(link netlink.Link, addr *netlink.Addr, gateway net.IP, nameservers []string) error {
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("set address %s: %w", addr, err)
	}
	if gateway != nil {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("set the way by %s: %w", gateway, err)
		}
	}
	if len(nameservers) == 0 {
		return nil
	}
	var text strings.Builder
	for _, server := range nameservers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	return os.WriteFile("/etc/resolv.conf", []byte(text.String()), 0o644)
}

// keepLease gets an address by DHCP, and renews it, until ctx ends.
func keepLease(ctx context.Context, link netlink.Link, log *slog.Logger) {
	said := ""
	for ctx.Err() == nil {
		err := lease(ctx, link, log)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			log.Warn("no address by DHCP yet", "error", err)
		}
		_ = ctxio.Sleep(ctx, pause)
	}
}

// lease returns when an address is no longer the machine's, or none was given.
func lease(ctx context.Context, link netlink.Link, log *slog.Logger) error {
	client, err := nclient4.New(link.Attrs().Name, nclient4.WithTimeout(pause), nclient4.WithRetry(3))
	if err != nil {
		return err
	}
	defer client.Close()
	got, err := client.Request(ctx)
	for err == nil {
		ack := got.ACK
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: ack.YourIPAddr, Mask: ack.SubnetMask()}}
		var gateway net.IP
		if routers := ack.Router(); len(routers) > 0 {
			gateway = routers[0]
		}
		var names []string
		for _, ip := range ack.DNS() {
			names = append(names, ip.String())
		}
		if err := configure(link, addr, gateway, names); err != nil {
			return err
		}
		log.Info("the machine is reached at "+addr.IP.String(), "by", "DHCP")
		// renewed as RFC 2131, 4.4.5 has it: after half of its time
		if ctxio.Sleep(ctx, max(ack.IPAddressLeaseTime(time.Hour)/2, pause)) != nil {
			return nil
		}
		got, err = client.Renew(ctx, got)
	}
	return err
}
