package workshop

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/tests/lab"
)

// What a build is made from has to be signed, too: the base, and the images that
// steps name besides.
func TestBasesAreSigned(t *testing.T) {
	program, err := lab.Cosign(t.Context())
	must(t, err)
	signer, err := lab.NewSigner(t.Context(), program, t.TempDir())
	must(t, err)
	key, err := os.ReadFile(signer.PublicKey)
	must(t, err)
	s, registry := newShop(t), newBases(t)
	pushBase(t, registry, "base:1.2.0", "1.2.0")
	pushBase(t, registry, "base:2.0.0", "2.0.0")
	at := func(text string) string { return strings.ReplaceAll(text, "REG", registry.Addr) }
	w := wantsOf(t, at(strings.Replace(onRegistry, `base:1"`, "base:~1\"\ncosign_key = \"release.pub\"", 1)), fstest.MapFS{
		"f":           {Data: []byte(at("FROM REG/tool:1 AS tool\nFROM $GITBOOT_FROM\nCOPY --from=tool /tool /tool\n"))},
		"release.pub": {Data: key},
	})
	for _, step := range []struct{ sign, fails string }{
		{"base:1.2.0", "look up the base REG/base:~1: REG/base@sha256:"},
		{"tool:1", "look up REG/tool:1, which a fragment names: REG/tool@sha256:"},
	} {
		j := s.look(t, w, Request{})
		if err := j.Failed()["desktop"]; err == nil || !strings.HasPrefix(err.Error(), at(step.fails)) || !strings.Contains(err.Error(), "is not signed; sign it") || planned(j) != "" {
			t.Errorf("%s is not signed: %v", step.sign, err)
		}
		must(t, signer.Sign(t.Context(), lab.SimpleSigning, registry.Addr+"/"+step.sign))
	}
	j := s.look(t, w, Request{})
	b := j.build("desktop")
	if planned(j) == "" || len(j.Failed()) > 0 || b.state.Base.Choice() != "~1 → 1.2.0" || b.state.Base.Signed == "" {
		t.Errorf("%q, %+v: %v", planned(j), b.state.Base, j.Failed())
	}
	img, err := maker{j}.openBase(t.Context(), b)
	if err != nil || len(img.Layers) != 1 {
		t.Error(err)
	}
}
