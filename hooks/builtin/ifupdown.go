package builtin

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

const interfaces = "/etc/network/interfaces"

// ifupdown writes a file of interfaces(5), and has the image's own read it.
func ifupdown(r *Target, all []kind.Interface) error {
	var b strings.Builder
	b.WriteString(r.generated())
	for i := range all {
		if all[i].Name == "" {
			return fmt.Errorf("ifupdown, which the image has, knows interfaces by name only; give the one with mac %s a name, such as lan0", all[i].MAC)
		}
		stanzas(&b, &all[i])
	}
	// Other names than these are passed over by source-directory.
	name := "gitboot-" + strings.ReplaceAll(r.hook, ".", "-")
	if err := r.text(interfaces+".d/"+name, b.String()); err != nil {
		return err
	}
	own, err := r.Read(interfaces)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(own)
	if !strings.Contains(text, "iface lo ") {
		text += "auto lo\niface lo inet loopback\n"
	}
	if !strings.Contains(text, interfaces+".d") {
		text += "source " + interfaces + ".d/*\n"
	}
	if text == string(own) {
		return nil
	}
	return r.text(interfaces, text)
}

// stanzas follows interfaces(5): one for each way and each address.
func stanzas(b *strings.Builder, i *kind.Interface) {
	fmt.Fprintf(b, "\nauto %s\n", i.Name)
	rest := ""
	if i.MTU != 0 {
		rest += fmt.Sprintf("\tmtu %d\n", i.MTU)
	}
	if len(i.DNS) > 0 {
		rest += "\tdns-nameservers " + strings.Join(i.DNS, " ") + "\n"
	}
	if len(i.Search) > 0 {
		rest += "\tdns-search " + strings.Join(i.Search, " ") + "\n"
	}
	stanza := func(method, lines string) {
		fmt.Fprintf(b, "iface %s %s\n%s%s", i.Name, method, lines, rest)
		rest = "" // once for the interface
	}
	if i.DHCP {
		stanza("inet dhcp", "")
		stanza("inet6 auto", "")
	}
	for _, family := range []struct {
		method string
		v4     bool
	}{{"inet static", true}, {"inet6 static", false}} {
		for n, address := range kind.Of(family.v4, i.Addresses) {
			lines := "\taddress " + address + "\n"
			for _, gateway := range kind.Of(family.v4, i.Gateways) {
				if n == 0 {
					lines += "\tgateway " + gateway + "\n"
				}
			}
			stanza(family.method, lines)
		}
	}
}
