package image

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/image/internal/exchange"
)

func TestTagWithinConstraint(t *testing.T) {
	w := newWire(t)
	digests := map[string]string{}
	for i, tag := range []string{"latest", "12", "12.4.0", "12.4.1", "12.10.0-rc.1", "13.0.0", "v2.0.0"} {
		digests[tag] = w.push(t, "router:"+tag, numbered(t, 200+i))
	}
	for constraint, tag := range map[string]string{"~12": "12.4.1", ">=12,<14": "13.0.0", "12.4.*": "12.4.1", "~12-0": "12.10.0-rc.1", "<3": "v2.0.0"} {
		r, err := Resolve(t.Context(), w.at("router:"+constraint), quick())
		check(t, err)
		if r.Tag != tag || r.Digest != digests[tag] || r.Within != constraint || r.Ref != w.at("router:"+constraint) {
			t.Errorf("%s: %+v, want %s", constraint, r, tag)
		}
		opened, err := Open(t.Context(), w.at("router:"+constraint), "", quick())
		check(t, err)
		if opened.Digest != digests[tag] {
			t.Errorf("%s: opened %s", constraint, opened.Digest)
		}
	}
	w.broken(nil)
	_, err := Resolve(t.Context(), w.at("router:~99"), quick())
	wantError[*exchange.NoTagError](t, err, w.at("router")+" has no tag within ~99, among 7 tags; look at them")
	if n := w.count("GET", "tags/list"); n != 1 {
		t.Errorf("asked %d times what there is not", n)
	}
	if _, err := Resolve(t.Context(), w.at("nothing:~1"), quick()); err == nil {
		t.Error("no error")
	} else {
		wantError[*NotFoundError](t, err, "has no list of tags")
	}
}

// listing is a registry that lists tags as it likes.
func listing(t *testing.T, list http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			list(w, r)
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Docker-Content-Digest", sum([]byte(r.URL.Path)))
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestPagesOfTags follows a list as registries divide it, and no further.
func TestPagesOfTags(t *testing.T) {
	var asked []string
	pages := func(next string) string {
		return listing(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			switch r.URL.Query().Get("last") {
			case "":
				w.Header().Set("Link", next)
				fmt.Fprint(w, `{"tags": ["1.0.0", "1.1.0"]}`)
			default:
				fmt.Fprint(w, `{"tags": ["1.2.0", "2.0.0"]}`)
			}
		})
	}
	for what, next := range map[string]string{
		"relative": `</v2/router/tags/list?n=1000&last=1.1.0>; rel="next"`,
		"opaque":   `</v2/router/tags/list?last=b64%3D&n=2>; rel="next"`,
	} {
		asked = nil
		r, err := Resolve(t.Context(), pages(next)+"/router:~1", quick())
		if err != nil || r.Tag != "1.2.0" || len(asked) != 2 || asked[0] != "n=1000" {
			t.Errorf("%s: %+v %v %v", what, r, err, asked)
		}
	}
	host := pages("")
	r, err := Resolve(t.Context(), host+"/router:~1", quick())
	if err != nil || r.Tag != "1.1.0" {
		t.Errorf("%+v %v", r, err)
	}
	for what, next := range map[string]string{
		"another host": `<http://elsewhere.example/v2/router/tags/list?last=x>; rel="next"`,
		"another list": `</v2/other/tags/list?last=x>; rel="next"`,
		"a manifest":   `</v2/router/manifests/1>; rel="next"`,
	} {
		_, err := Resolve(t.Context(), pages(next)+"/router:~1", quick())
		t.Log(what)
		wantError[*UnsupportedError](t, err, "goes on at", "which is another place")
	}
}

// TestEndlessTags bounds what a registry may list.
func TestEndlessTags(t *testing.T) {
	n := 0
	always := func(answer string) string {
		return listing(t, func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Link", fmt.Sprintf(`</v2/router/tags/list?last=%d>; rel="next"`, n))
			fmt.Fprint(w, answer)
		})
	}
	many := `{"tags": ["` + strings.Join(slices.Repeat([]string{"1.0.0"}, 5000), `","`) + `"]}`
	for what, answer := range map[string]string{"pages": `{"tags": ["1.0.0"]}`, "tags": many} {
		n = 0
		_, err := Resolve(t.Context(), always(answer)+"/router:~1", quick())
		wantError[*UnsupportedError](t, err, "it has more than 100000 tags, or lists them on more than 500 pages")
		if n > 500 {
			t.Errorf("%s: %d pages are fetched", what, n)
		}
	}
	for what, answer := range map[string]string{
		"no JSON": "<html>", "too long": `{"tags": ["` + strings.Repeat("a", 9<<20) + `"]}`,
		"too many values": `{"tags": ["` + strings.Repeat(`a","`, 200_000) + `"]}`,
	} {
		n = 0
		_, err := Resolve(t.Context(), always(answer)+"/router:~1", quick())
		t.Log(what)
		wantError[*UnsupportedError](t, err)
		if n > 1 {
			t.Errorf("%s: asked %d times", what, n)
		}
	}
}
