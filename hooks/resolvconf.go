package hooks

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

var resolvConfHelp = Help{
	Name:    "resolv-conf",
	Summary: "write /etc/resolv.conf, or make it a link",
	Text: `Writes resolv.conf(5) in place of what the image has, a link or a file that its
build left behind.

nameservers  addresses, in order; most resolvers use the first three
search       domains
options      as "edns0" or "ndots:2"
link         instead of all these: where /etc/resolv.conf points to, such as
             /run/systemd/resolve/stub-resolv.conf`,
}

func (c *ResolvConf) render(r *renderer, hook string) error {
	const p = "/etc/resolv.conf"
	if c.Link != "" {
		if len(c.Nameservers)+len(c.Search)+len(c.Options) > 0 {
			return fmt.Errorf("link %q leaves no place for nameservers, search and options; keep one or the other", c.Link)
		}
		return r.files(hook, []File{{Path: p, Link: c.Link}})
	}
	var b strings.Builder
	b.WriteString(generated(hook))
	for _, server := range c.Nameservers {
		if _, err := netip.ParseAddr(server); err != nil {
			return fmt.Errorf("nameserver %q is not an IP address", server)
		}
		b.WriteString("nameserver " + server + "\n")
	}
	for _, list := range []struct {
		key   string
		words []string
	}{{"search", c.Search}, {"options", c.Options}} {
		for _, word := range list.words {
			if word == "" || strings.ContainsFunc(word, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
				return fmt.Errorf("%s %q is not one word", list.key, word)
			}
		}
		if len(list.words) > 0 {
			b.WriteString(list.key + " " + strings.Join(list.words, " ") + "\n")
		}
	}
	return r.text(hook, p, b.String())
}
