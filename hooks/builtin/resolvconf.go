package builtin

import (
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func resolvConf(r *Target, c *kind.ResolvConf) error {
	const p = "/etc/resolv.conf"
	if c.Link != "" {
		return r.files(kind.File{Path: p, Link: c.Link})
	}
	var b strings.Builder
	b.WriteString(r.generated())
	for _, server := range c.Nameservers {
		b.WriteString("nameserver " + server + "\n")
	}
	for _, list := range []struct {
		key   string
		words []string
	}{{"search", c.Search}, {"options", c.Options}} {
		if len(list.words) > 0 {
			b.WriteString(list.key + " " + strings.Join(list.words, " ") + "\n")
		}
	}
	return r.text(p, b.String())
}
