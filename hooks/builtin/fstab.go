package builtin

import (
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func fstab(r *Target, f *kind.Fstab) error {
	var b strings.Builder
	b.WriteString(r.generated())
	for _, m := range f.Mounts {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%d\t%d\n", escapeMount(m.Device), escapeMount(m.Path),
			escapeMount(m.Type), escapeMount(m.Options), m.Dump, m.Pass)
	}
	return r.text("/etc/fstab", b.String())
}

// escapeMount escapes as getmntent(3) reads it; a field that begins with #
// would be a comment.
func escapeMount(s string) string {
	s = strings.NewReplacer(" ", `\040`, "\t", `\011`, `\`, `\134`).Replace(s)
	if strings.HasPrefix(s, "#") {
		s = `\043` + s[1:]
	}
	return s
}
