package builtin

import (
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func hostname(r *Target, h *kind.Hostname) error {
	names, _, _ := strings.Cut(h.Name, ".")
	full := h.Name
	if h.Domain != "" {
		full += "." + h.Domain
	}
	if full != names {
		names = full + "\t" + names
	}
	if err := r.text("/etc/hostname", h.Name+"\n"); err != nil {
		return err
	}
	return r.text("/etc/hosts", r.generated()+
		"127.0.0.1\tlocalhost\n"+
		"127.0.1.1\t"+names+"\n\n"+
		"::1\tlocalhost ip6-localhost ip6-loopback\n"+
		"ff02::1\tip6-allnodes\n"+
		"ff02::2\tip6-allrouters\n")
}
