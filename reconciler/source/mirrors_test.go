package source

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// standings are what the remotes said.
func standings(answers []Answer) string {
	var all []string
	for _, a := range answers {
		all = append(all, string(a.Standing))
		if strings.Contains(a.String(), "\n") {
			all = append(all, "in more than a line")
		}
	}
	return strings.Join(all, " ")
}

// TestFirstOfSeveral follows a server and a mirror of it, of which either may be
// down, or behind.
func TestFirstOfSeveral(t *testing.T) {
	main, mirror := newRepo(t), newRepo(t)
	first := main.commit("a", "1")
	mirror.git("pull", "-q", main.dir, "main")
	server := newHTTPSServer(t, main)
	o := server.options(t, main)
	o.Mirrors = []string{mirror.dir}
	look := func(name, applied, hash, want string, compare bool) {
		t.Helper()
		f, err := First(t.Context(), o, applied, compare)
		if err != nil || f.Revision.Hash != hash || standings(f.Answers) != want {
			t.Errorf("%s: %s of %s (%s), %v; want %s of %s", name, f.Revision.Hash, f.Source.opts.URL, standings(f.Answers), err, hash, want)
			return
		}
		if _, err := f.Source.Files(hash, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	fails := func(name, applied, want string) {
		t.Helper()
		var none *RemotesError
		if _, err := First(t.Context(), o, applied, true); !errors.As(err, &none) || standings(none.Answers) != want || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	down := func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return true
	}
	look("both", "", first, "taken same", true)
	look("the first alone", first, first, "taken", false)
	server.instead = down
	look("the second", first, first, "failed taken", false)
	server.instead = nil

	second := main.commit("a", "2")
	look("a mirror that is behind", first, second, "taken behind", true)
	server.instead = down
	look("which is there alone", second, second, "failed behind", true)
	server.instead = nil
	o.URL, o.Mirrors = mirror.dir, []string{o.URL}
	look("and is the first", second, second, "behind taken", true)
	look("and nothing was applied", "", second, "behind taken", false)

	mirror.commit("b", "another history")
	look("both have something", second, second, "failed taken", true)
	mirror.git("pull", "-q", "--no-rebase", "--no-edit", main.dir, "main")
	merged := mirror.git("rev-parse", "HEAD")
	look("one is ahead", second, merged, "taken behind", true)
	main.git("reset", "-q", "--hard", first)
	mirror.git("reset", "-q", "--hard", second)
	fails("both were taken back", merged, "behind behind")
	server.instead = down
	mirror.git("update-ref", "-d", "refs/heads/main")
	fails("none is there", merged, "failed failed")
}

// TestTokenIsForTheFirst follows two servers, of which the second asks for a token,
// which it gets only if one is named for it.
func TestTokenIsForTheFirst(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	first, second := newHTTPSServer(t, r), newHTTPSServer(t, r)
	o := first.options(t, r)
	other := second.options(t, r)
	o.Mirrors = []string{other.URL}
	seen := ""
	second.instead = func(_ http.ResponseWriter, req *http.Request) bool {
		seen += fmt.Sprint(req.Header["Authorization"])
		return false
	}
	f, err := First(t.Context(), o, "", true)
	if err != nil || !strings.Contains(standings(f.Answers), "taken failed") || strings.Contains(seen, "Basic") {
		t.Errorf("%v, %v; the second was told %s", standings(f.Answers), err, seen)
	}
	o.TokenFiles = map[string]string{Host(other.URL): other.TokenFile}
	f, err = First(t.Context(), o, "", true)
	if err != nil || !strings.Contains(standings(f.Answers), "taken same") || !strings.Contains(seen, "Basic") {
		t.Errorf("with a token of its own: %v, %v; the second was told %s", standings(f.Answers), err, seen)
	}
}
