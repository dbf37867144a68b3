package ref

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func TestChoose(t *testing.T) {
	refs := Refs{Names: map[string]plumbing.Hash{}, Peeled: map[string]plumbing.Hash{}}
	for i, name := range []string{"HEAD", "refs/heads/main", "refs/heads/v1", "refs/tags/v1", "refs/tags/v1.4.0", "refs/tags/v1.5.0-rc.1", "refs/tags/v1.4.10", "refs/tags/v2.0.0",
		"refs/tags/laptop/v1.9", "refs/tags/nightly", "refs/heads/v1.99.0", "refs/pull/1/head"} {
		refs.Names[name] = plumbing.NewHash(fmt.Sprintf("%040x", i+1))
	}
	peeled := plumbing.NewHash(strings.Repeat("f", 40))
	refs.Peeled["refs/tags/v1.4.10"] = peeled
	for text, want := range map[string]string{
		"": "HEAD", "HEAD": "HEAD", "main": "refs/heads/main", "nightly": "refs/tags/nightly", "refs/tags/v1": "refs/tags/v1", "refs/heads/v1": "refs/heads/v1",
		"v1.*": "refs/tags/v1.4.10", "~1.4": "refs/tags/v1.4.10", ">=1.2 <3": "refs/tags/v2.0.0", "~1.5-0": "refs/tags/v1.5.0-rc.1", "laptop/^1": "refs/tags/laptop/v1.9",
		"refs/pull/1/head":  "refs/pull/1/head",
		"~1.5":              "!no tag within \"~1.5\"; its tags are: laptop/v1.9, nightly, v1, v1.4.0, v1.4.10, v1.5.0-rc.1, v2.0.0",
		"v1":                "!\"v1\" is a branch and a tag; say which is meant with ref = \"refs/heads/v1\" or \"refs/tags/v1\"",
		"mian":              "!no branch or tag \"mian\"; choose one of its branches: main, v1, v1.99.0",
		"refs/heads/mian":   "!no branch \"mian\"; choose one of its branches: main, v1, v1.99.0",
		"refs/heads/v2.0.0": "!\"v2.0.0\" is a tag, and a branch is followed; follow the tag with ref = \"v2.0.0\", or choose one of its branches: main, v1, v1.99.0",
		"refs/tags/main":    "!no tag \"main\"; its tags are: laptop/v1.9, ",
	} {
		w, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := w.Choose("R", refs)
		if rest, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.HasPrefix(err.Error(), "reading R: "+rest) {
				t.Errorf("%s: %v; want: %s", text, err, rest)
			}
			continue
		}
		if err != nil || got.Name != want || got.Tag() != (want == "refs/tags/v1.4.10") || got.Tag() && got.Commit != peeled {
			t.Errorf("%s: %+v, %v; want %s", text, got, err, want)
		}
	}
	var empty *EmptyError
	if _, err := (Want{}).Choose("R", Refs{}); !errors.As(err, &empty) {
		t.Errorf("an empty repo: %v", err)
	}
	var none *NoneError
	if _, err := (Want{}).Choose("R", Refs{Names: map[string]plumbing.Hash{"refs/heads/a": peeled}}); !errors.As(err, &none) || !strings.Contains(err.Error(), "its HEAD names") {
		t.Errorf("no HEAD: %v", err)
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"a..b", "/x", "x.lock", "a b", "-x", "~x.y.z.w", "v1.*/x", "refs/heads/", "refs/heads/a b", "a\nb", "a?"} {
		if w, err := Parse(text); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v, %v", text, w, err)
		}
	}
}

func TestHigher(t *testing.T) {
	for _, c := range []struct {
		want, name, than string
		higher           bool
	}{
		{"v1.*", "refs/tags/v1.10.0", "refs/tags/v1.9.0", true},
		{"v1.*", "refs/tags/v1.9.0", "refs/tags/v1.10.0", false},
		{"v1.*", "refs/tags/v1.9.0", "refs/tags/v1.9.0", false},
		{"v1.*", "refs/tags/v1.9.0", "refs/tags/nightly", false},
		{"v1.*", "refs/tags/v1.9.0", "refs/heads/v1.0.0", false},
		{"v1.*", "refs/tags/v1.9.0", "", false},
		{"v1.9.0", "refs/tags/v1.9.0", "refs/tags/v1.0.0", false},
		{"laptop/v1.*", "refs/tags/laptop/v1.9.0", "refs/tags/laptop/v1.0.0", true},
		{"laptop/v1.*", "refs/tags/laptop/v1.9.0", "refs/tags/v1.0.0", false},
	} {
		w, err := Parse(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Higher(c.name, c.than); got != c.higher {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
