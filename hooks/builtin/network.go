package builtin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

const networkd = "systemd-networkd.service"

func network(r *Target, n *kind.Network) error {
	backend, err := backend(r, n.Backend)
	if err != nil {
		return err
	}
	for i := range n.Interfaces {
		itf := &n.Interfaces[i]
		if itf.Name != "" && itf.MAC != "" {
			if err := r.text(networkPath(r.hook, itf, ".link"), r.generated()+"[Match]\nMACAddress="+itf.MAC+"\n\n[Link]\nName="+itf.Name+"\n"); err != nil {
				return err
			}
		}
		switch backend {
		case "systemd-networkd":
			err = r.text(networkPath(r.hook, itf, ".network"), networkdFile(r.hook, itf))
		case "NetworkManager":
			err = r.files(kind.File{
				Path: path.Join("/etc/NetworkManager/system-connections", "gitboot-"+r.hook+"-"+idOf(itf)+".nmconnection"),
				Mode: 0o600, Content: []byte(keyfile(r.hook, itf)),
			})
		}
		if err != nil {
			return err
		}
	}
	switch {
	case backend == "ifupdown":
		return ifupdown(r, n.Interfaces)
	case backend == "systemd-networkd" && r.Known && !networkdRuns(r):
		return enableUnit(r, networkd)
	}
	return nil
}

// backend finds out who configures the network in the image. systemd-networkd
// is in many images that do not use it.
func backend(r *Target, declared string) (string, error) {
	if !r.Known {
		if declared == "" {
			return "", errors.New("the image decides who configures the network, and it is not known yet; give a backend, or reconcile first")
		}
		return declared, nil
	}
	has := map[string]bool{
		"NetworkManager":   r.Exists("/usr/sbin/NetworkManager") || r.Exists("/usr/bin/NetworkManager"),
		"ifupdown":         r.Exists("/usr/sbin/ifup") || r.Exists("/sbin/ifup"),
		"systemd-networkd": r.Exists("/usr/lib/systemd/systemd-networkd") || r.Exists("/lib/systemd/systemd-networkd"),
	}
	switch {
	case declared != "" && !has[declared]:
		return "", fmt.Errorf("the image has no %s; leave out backend for what it has, or install it", declared)
	case declared != "":
		return declared, nil
	case has["NetworkManager"]:
		return "NetworkManager", nil
	case has["systemd-networkd"] && (networkdRuns(r) || !has["ifupdown"]):
		return "systemd-networkd", nil
	case has["ifupdown"]:
		return "ifupdown", nil
	}
	return "", errors.New("the image has neither NetworkManager, systemd-networkd nor ifupdown; install one of them in it")
}

func networkdRuns(r *Target) bool {
	return r.Exists(path.Join(kind.UnitDir, "multi-user.target.wants", networkd)) ||
		r.Exists("/usr/lib/systemd/system/multi-user.target.wants/"+networkd)
}

// idOf names an interface in the name of a file.
func idOf(i *kind.Interface) string {
	if i.Name != "" {
		return i.Name
	}
	return strings.ReplaceAll(strings.ToLower(i.MAC), ":", "")
}

func networkPath(hook string, i *kind.Interface, ext string) string {
	return path.Join("/etc/systemd/network", "10-gitboot-"+hook+"-"+idOf(i)+ext)
}

// section writes "[name]" and those of the lines that have a value.
func section(b *strings.Builder, name string, lines ...[2]string) {
	wrote := false
	for _, line := range lines {
		if line[1] == "" {
			continue
		}
		if !wrote {
			b.WriteString("\n[" + name + "]\n")
		}
		wrote = true
		b.WriteString(line[0] + "=" + line[1] + "\n")
	}
}

func each(key string, values []string) (lines [][2]string) {
	for _, v := range values {
		lines = append(lines, [2]string{key, v})
	}
	return lines
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// networkdFile follows systemd.network(5).
func networkdFile(hook string, i *kind.Interface) string {
	var b strings.Builder
	b.WriteString(generated(hook))
	if i.Name != "" {
		section(&b, "Match", [2]string{"Name", i.Name})
	} else {
		section(&b, "Match", [2]string{"MACAddress", i.MAC}, [2]string{"Type", "ether"}) // not the VLANs on it
	}
	section(&b, "Link", [2]string{"MTUBytes", number(i.MTU)})
	dhcp, advertised := "no", ""
	if i.DHCP {
		dhcp = "yes"
	} else if len(kind.Of(false, i.Addresses)) > 0 {
		advertised = "no"
	}
	lines := [][2]string{{"DHCP", dhcp}, {"IPv6AcceptRA", advertised}}
	lines = append(lines, each("Address", i.Addresses)...)
	lines = append(lines, each("Gateway", i.Gateways)...)
	lines = append(lines, each("DNS", i.DNS)...)
	section(&b, "Network", append(lines, [2]string{"Domains", strings.Join(i.Search, " ")})...)
	return b.String()
}

// keyfile follows nm-settings-keyfile(5).
func keyfile(hook string, i *kind.Interface) string {
	var b strings.Builder
	b.WriteString(generated(hook))
	sum := sha256.Sum256([]byte("gitboot network\x00" + hook + "\x00" + idOf(i)))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8 of RFC 9562: our own
	section(&b, "connection",
		[2]string{"id", "gitboot " + hook + " " + idOf(i)},
		[2]string{"uuid", fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])},
		[2]string{"type", "ethernet"}, [2]string{"interface-name", i.Name})
	mac := i.MAC
	if i.Name != "" {
		mac = "" // udev has given it the name
	}
	section(&b, "ethernet", [2]string{"mac-address", mac}, [2]string{"mtu", number(i.MTU)})
	for _, v4 := range []bool{true, false} {
		section(&b, map[bool]string{true: "ipv4", false: "ipv6"}[v4], keyfileFamily(i, v4)...)
	}
	return b.String()
}

func keyfileFamily(i *kind.Interface, v4 bool) [][2]string {
	addresses := kind.Of(v4, i.Addresses)
	switch {
	case i.DHCP || !v4 && len(addresses) == 0:
	case len(addresses) > 0:
		return append([][2]string{{"method", "manual"}}, keyfileValues(i, v4, addresses)...)
	default:
		return [][2]string{{"method", "disabled"}}
	}
	return append([][2]string{{"method", "auto"}}, keyfileValues(i, v4, addresses)...)
}

func keyfileValues(i *kind.Interface, v4 bool, addresses []string) (lines [][2]string) {
	for n, a := range addresses {
		lines = append(lines, [2]string{fmt.Sprintf("address%d", n+1), a})
	}
	list := func(words []string) string { return strings.Join(append(words, ""), ";") }
	lines = append(lines, each("gateway", kind.Of(v4, i.Gateways))...)
	return append(lines, [2]string{"dns", list(kind.Of(v4, i.DNS))}, [2]string{"dns-search", list(i.Search)})
}
