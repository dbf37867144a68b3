package kind

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Network configures wired interfaces for whatever the image has.
type Network struct {
	// Backend is empty for what the image has.
	Backend    string      `key:"backend" is:"backend" doc:"Who configures the network; what the image has if absent: NetworkManager, systemd-networkd if it is enabled, ifupdown, else systemd-networkd."`
	Interfaces []Interface `key:"interface" doc:"Interfaces."`
}

// An Interface has a name, a MAC or both.
type Interface struct {
	Name      string   `key:"name" is:"template" doc:"The interface's name, such as enp1s0; with mac, the name that it is given, such as lan0."`
	MAC       string   `key:"mac" is:"template" doc:"The interface's address, such as 52:54:00:12:34:56."`
	DHCP      bool     `key:"dhcp" doc:"Ask DHCP, beside addresses; without addresses it always is."`
	Addresses []string `key:"addresses" is:"template" doc:"Addresses with their prefix, such as 192.0.2.10/24 or 2001:db8::10/64."`
	Gateways  []string `key:"gateways" is:"template" doc:"Default gateways, at most one of IPv4 and one of IPv6."`
	DNS       []string `key:"dns" is:"template" doc:"Addresses of name servers."`
	Search    []string `key:"search" is:"template" doc:"Domains to search."`
	MTU       int      `key:"mtu" is:"mtu" doc:"The largest packet; the driver's choice if absent."`
}

// Backends are who can configure the network.
func Backends() []string { return []string{"systemd-networkd", "NetworkManager", "ifupdown"} }

func (n *Network) Help() Help {
	return Help{
		Summary: "configure wired network interfaces",
		Text: `Writes what the image's NetworkManager, systemd-networkd or ifupdown reads, and
enables systemd-networkd if it is all there is. Wi-Fi and the like take a file.

backend    systemd-networkd, NetworkManager or ifupdown, if not what the image has
interface  name, mac, dhcp, addresses, gateways, dns, search, mtu; with both name
           and mac, the interface is given that name (by udev)

dns counts where something reads it: systemd-resolved with systemd-networkd,
resolvconf with ifupdown. Elsewhere use the built-in resolv-conf.`,
	}
}

func (n *Network) Paths(string) []string { return nil }

func (n *Network) Complete(Machine) {
	for i := range n.Interfaces {
		n.Interfaces[i].DHCP = n.Interfaces[i].DHCP || len(n.Interfaces[i].Addresses) == 0
	}
}

func (n *Network) Check() (ps check.Problems) {
	if n.Backend != "" && !slices.Contains(Backends(), n.Backend) {
		ps.Add(n.Backend, "is not known", "write one of "+strings.Join(Backends(), ", "), "backend")
	}
	if len(n.Interfaces) == 0 {
		ps.Add("", "is missing", "add [[hook.NAME.network.interface]]", "interface")
	}
	known := map[string]bool{}
	for i, itf := range n.Interfaces {
		itf.check(&ps, i)
		if n.Backend == "ifupdown" && itf.Name == "" && itf.MAC != "" {
			ps.Add(itf.MAC, "is not what ifupdown knows an interface by", "add a name such as lan0, which the interface is given", "interface", i, "mac")
		}
		for _, id := range []string{itf.Name, strings.ToLower(itf.MAC)} {
			if id != "" && known[id] {
				ps.Add(id, "is declared twice", "remove one", "interface", i)
			}
			known[id] = true
		}
	}
	return ps
}

func (i *Interface) check(ps *check.Problems, n int) {
	switch {
	case i.Name == "" && i.MAC == "":
		ps.Add("", "has neither name nor mac", "give one of them", "interface", n)
	case i.Name != "" && WrongInterface(i.Name) != "":
		ps.Add(i.Name, WrongInterface(i.Name), "write up to 15 letters, digits, _, - and .", "interface", n, "name")
	case i.MAC != "" && isKernelName(i.Name):
		ps.Add(i.Name, "is a name that the kernel gives", "leave out name or mac, or choose a name such as lan0", "interface", n, "name")
	}
	if i.MAC != "" && !isMAC(i.MAC) {
		ps.Add(i.MAC, "is no MAC address", "write it as 52:54:00:12:34:56", "interface", n, "mac")
	}
	if i.MTU != 0 && (i.MTU < 576 || i.MTU > 65535) {
		ps.Add("", "is no size of packets", "write a number from 576 to 65535", "interface", n, "mtu")
	}
	for k, address := range i.Addresses {
		ps.Add(address, WrongPrefix(address), "write for example 192.0.2.10/24", "interface", n, "addresses", k)
	}
	i.checkGateways(ps, n)
	for k, server := range i.DNS {
		ps.Add(server, WrongAddress(server), "write an IPv4 or IPv6 address", "interface", n, "dns", k)
	}
	for k, domain := range i.Search {
		ps.Add(domain, check.NotDomain(domain, maxDomain), "write a domain", "interface", n, "search", k)
	}
}

func (i *Interface) checkGateways(ps *check.Problems, n int) {
	families := map[bool]bool{}
	for k, gateway := range i.Gateways {
		address, err := netip.ParseAddr(gateway)
		switch {
		case err != nil || !usable(address):
			ps.Add(gateway, "is no address", "write an IPv4 or IPv6 address", "interface", n, "gateways", k)
		case families[address.Is4()]:
			ps.Add(gateway, "is a second one", "give one of IPv4 and one of IPv6 at most", "interface", n, "gateways", k)
		case !i.has(address.Is4()):
			ps.Add(gateway, "cannot be reached: the interface has no address of its kind", "add one to addresses; DHCP brings its own gateway", "interface", n, "gateways", k)
		}
		families[address.Is4()] = true
	}
}

// has reports whether there is an address of IPv4 or of IPv6.
func (i *Interface) has(v4 bool) bool {
	return slices.ContainsFunc(i.Addresses, func(a string) bool {
		prefix, err := netip.ParsePrefix(a)
		return err == nil && prefix.Addr().Is4() == v4
	})
}

// WrongPrefix returns what keeps s from being an interface's address with its
// prefix, or "".
func WrongPrefix(s string) string {
	if prefix, err := netip.ParsePrefix(s); err != nil || !usable(prefix.Addr()) {
		return "is no address with its prefix"
	}
	return ""
}

// WrongInterface returns what keeps name from being an interface's, or "".
func WrongInterface(name string) string {
	bad := func(c rune) bool {
		return !strings.ContainsRune("_-.", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	if name == "" || name == "lo" || len(name) > 15 || strings.ContainsFunc(name, bad) || strings.Trim(name[:1], "-.") == "" {
		return "is no interface's name"
	}
	return ""
}

// isKernelName reports whether the kernel might give that name to another
// interface.
func isKernelName(name string) bool {
	number := strings.TrimLeft(name, "ethwlanusb")
	kind := strings.TrimSuffix(name, number)
	return number != "" && strings.Trim(number, "0123456789") == "" && (kind == "eth" || kind == "wlan" || kind == "usb")
}

func isMAC(s string) bool {
	parts := strings.Split(s, ":")
	return len(parts) == 6 && !slices.ContainsFunc(parts, func(p string) bool {
		return len(p) != 2 || strings.Trim(strings.ToLower(p), "0123456789abcdef") != ""
	})
}

func usable(a netip.Addr) bool {
	return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// Of returns the texts that are addresses of IPv4, or of IPv6, with their
// prefixes or without.
func Of(v4 bool, texts []string) (out []string) {
	for _, text := range texts {
		if strings.Contains(text, ":") != v4 {
			out = append(out, text)
		}
	}
	return out
}
