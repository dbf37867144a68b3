package reconciler

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/spec"
)

// What spec takes for a reference, the library that pulls and pushes takes,
// too, and dials a port that there is.
func TestReferencesAgree(t *testing.T) {
	tries := 30000
	if testing.Short() {
		tries = 6000
	}
	r := rand.New(rand.NewPCG(1, 1))
	taken := 0
	for range tries {
		ref := drawReference(r)
		fsys := fstest.MapFS{spec.RootFile: {Data: []byte("[image.a]\npull = " + text(ref) + "\n")}}
		if _, err := spec.Load(t.Context(), fsys); err != nil {
			continue
		}
		taken++
		parsed, err := name.ParseReference(ref)
		if err != nil {
			t.Errorf("%q: %v", ref, err)
			continue
		}
		if _, port, ok := strings.Cut(parsed.Context().RegistryStr(), ":"); ok {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				t.Errorf("%q: there is no port %s", ref, port)
			}
		}
	}
	t.Logf("%d of %d are taken", taken, tries)
	if taken < tries/20 || taken > tries*19/20 {
		t.Errorf("%d of %d are taken: too few or too many to find anything", taken, tries)
	}
}

// drawReference strings together what references are made of, and what they
// are not, in nearly the right order.
func drawReference(r *rand.Rand) string {
	pieces := [][]string{
		{"r.lan", "localhost", "a", "10.0.0.1", "a_b.c", "R.lan", "a-.b", "a..b", "[::1]", "é.lan", ""},
		{"", ":5000", ":0", ":65535", ":65536", ":99999", ":00080", ":x", ":"},
		{"/", "", "//"},
		{"a", "a/b", "a__b", "a--b", "a._b", "-a", "A", strings.Repeat("p", 247), strings.Repeat("p", 248), strings.Repeat("p", 256), strings.Repeat("p/", 123) + "p", strings.Repeat("p/", 124) + "p", ""},
		{"", ":1", ":x.y-z", ":" + strings.Repeat("t", 128), ":" + strings.Repeat("t", 129), ":-", ":", ":é"},
		{"", "@sha256:" + strings.Repeat("0", 64), "@sha256:0", "@sha512:" + strings.Repeat("0", 128), "@"},
	}
	var b strings.Builder
	for _, options := range pieces {
		if plain := r.IntN(3); plain > 0 {
			b.WriteString(options[0])
			continue
		}
		b.WriteString(options[r.IntN(len(options))])
	}
	return b.String()
}
