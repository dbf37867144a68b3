package source

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/uploadpack"
)

// A house is a clone that others follow, over HTTP.
type house struct {
	*Source
	url string
	log *bytes.Buffer
}

func newHouse(t *testing.T, o Options, start func(http.Handler) *httptest.Server) *house {
	t.Helper()
	h := &house{Source: open(t, o), log: &bytes.Buffer{}}
	server := start(uploadpack.Repo{Dir: o.Dir, Ref: o.Ref, Log: slog.New(slog.NewTextHandler(h.log, nil))}.Handler())
	t.Cleanup(func() {
		server.Close()
		if h.log.Len() > 0 {
			t.Errorf("logged: %s", h.log)
		}
	})
	h.url = server.URL
	return h
}

// Real git follows a clone: all of it, what is new, and what is there already; whatever
// version of its protocol it would rather speak.
func TestGitFollowsAClone(t *testing.T) {
	for _, version := range []string{"0", "1", "2"} {
		t.Run("protocol "+version, func(t *testing.T) {
			t.Parallel()
			origin := newRepo(t)
			origin.commits(300)
			h := newHouse(t, origin.options(), httptest.NewServer)
			if out := runGit(t, t.TempDir(), "ls-remote", h.url); out != "" {
				t.Errorf("of an empty clone: %s", out)
			}
			tip := h.mustFetch(t, "").Hash
			if out := runGit(t, t.TempDir(), "-c", "protocol.version="+version, "ls-remote", "--symref", h.url); out != "ref: refs/heads/main\tHEAD\n"+tip+"\tHEAD\n"+tip+"\trefs/heads/main" {
				t.Errorf("refs: %s", out)
			}
			copied := filepath.Join(t.TempDir(), "copy")
			git := func(args ...string) string {
				return runGit(t, copied, append([]string{"-c", "protocol.version=" + version}, args...)...)
			}
			runGit(t, t.TempDir(), "-c", "protocol.version="+version, "clone", "-q", h.url, copied)
			git("fsck", "--strict")
			if got := git("rev-parse", "HEAD"); got != tip {
				t.Errorf("cloned %s, want %s", got, tip)
			}
			// A side branch that begins long ago, and commits of their own in the copy.
			origin.git("checkout", "-q", "-b", "side", "HEAD~200")
			origin.commit("side.toml", "b = 1\n")
			origin.git("checkout", "-q", "main")
			origin.git("merge", "-q", "-m", "merge", "side")
			for i := range 5 {
				origin.commit("machines/1.toml", fmt.Sprintf("a = %d\n", i))
			}
			tip = h.mustFetch(t, "").Hash
			git("commit", "-q", "--allow-empty", "-m", "of the copy")
			git("fetch", "-q")
			if out := git("count-objects"); !strings.HasPrefix(out, "26 objects") {
				t.Errorf("not what the copy lacked was fetched, of seven commits, and its own: %s", out)
			}
			git("fsck", "--strict")
			if got := git("rev-parse", "origin/main"); got != tip {
				t.Errorf("fetched %s, want %s", got, tip)
			}
			git("fetch")
		})
	}
}

// What is asked for that is not given is refused in words that git shows.
func TestGitIsRefused(t *testing.T) {
	origin := newRepo(t)
	old := origin.commit("gitboot.toml", "a = 1\n")
	h := newHouse(t, origin.options(), httptest.NewServer)
	h.mustFetch(t, "")
	origin.commit("gitboot.toml", "a = 2\n")
	h.mustFetch(t, "")
	copied := newRepo(t)
	copied.commit("gitboot.toml", "a = 3\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"clone", "-q", "--depth", "1", h.url, t.TempDir()}, "histories are given whole"},
		{[]string{"fetch", h.url, old}, "unadvertised object"},
		{[]string{"fetch", h.url, "other"}, "couldn't find remote ref other"},
		{[]string{"push", h.url, "HEAD:x"}, "403"},
	} {
		cmd := exec.Command("git", c.args...)
		cmd.Dir, cmd.Env = copied.dir, gitEnv()
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("git %v: %v, %s", c.args, err, out)
		}
	}
}

// Another gitboot follows the clone, verifies what it would verify of a server, and lacks
// nothing though packs come and are joined meanwhile.
func TestGitbootFollowsAClone(t *testing.T) {
	key, pub := newKey(t, "ada")
	origin := newRepo(t)
	origin.signing(key)
	origin.commit("gitboot.toml", "a = 0\n")
	var server *httptest.Server
	h := newHouse(t, origin.options(), func(handler http.Handler) *httptest.Server {
		server = httptest.NewTLSServer(handler)
		return server
	})
	o := h.follower(t, server)
	o.TrustedKeys = trusting(t, "", pub)
	var empty *EmptyError
	if _, err := open(t, o).Fetch(t.Context(), ""); !errors.As(err, &empty) {
		t.Errorf("of an empty clone: %v", err)
	}
	// Each fetch is a pack, and when they are too many they are joined.
	last := ""
	for i := range 2*clone.MaxPacks + 5 {
		tip := origin.commit("gitboot.toml", fmt.Sprintf("a = %d\n", i+1))
		followed := make(chan error)
		go func() {
			_, err := open(t, h.opts).Fetch(t.Context(), "")
			followed <- err
		}()
		if i > 0 {
			last = open(t, o).mustFetch(t, last).Hash // the one before, or this one
		}
		if err := <-followed; err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if last = open(t, o).mustFetch(t, last).Hash; last != tip {
				t.Fatalf("followed %s, want %s", last, tip)
			}
		}
	}
	origin.commit("gitboot.toml", "a = 1000\n", "--no-gpg-sign")
	open(t, h.opts).mustFetch(t, "") // which trusts whoever pushes
	var untrusted *UntrustedError
	if _, err := open(t, o).Fetch(t.Context(), last); !errors.As(err, &untrusted) {
		t.Errorf("an unsigned commit: %v", err)
	}
}

// Who was told of a tip gets it though the next one has come meanwhile, as that has it in its
// history; nobody gets what is no commit of it, nor what is long gone by.
func TestTipMovesMeanwhile(t *testing.T) {
	origin := newRepo(t)
	told := origin.commits(1100)
	near, far := origin.git("rev-parse", "HEAD^"), origin.git("rev-parse", "HEAD~1050")
	var h *house
	var once sync.Once
	moved := make(chan string, 1)
	h = newHouse(t, origin.options(), func(handler http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				once.Do(func() {
					next, err := h.Fetch(t.Context(), told)
					if err != nil {
						t.Error(err)
					}
					moved <- next.Hash
				})
			}
			handler.ServeHTTP(w, r)
		}))
	})
	h.mustFetch(t, "")
	want := origin.commit("gitboot.toml", "a = 1\n")
	copied := filepath.Join(t.TempDir(), "copy")
	runGit(t, t.TempDir(), "clone", "-q", h.url, copied)
	if next, got := <-moved, runGit(t, copied, "rev-parse", "HEAD"); got != told || next != want {
		t.Errorf("cloned %s, want %s; meanwhile %s came, want %s", got, told, next, want)
	}
	runGit(t, copied, "fetch", "-q")
	runGit(t, copied, "fsck", "--strict")
	if got := runGit(t, copied, "rev-parse", "origin/main"); got != want {
		t.Errorf("fetched %s, want %s", got, want)
	}
	tree := origin.git("rev-parse", "HEAD^{tree}")
	for object, given := range map[string]bool{want: true, told: true, near: true, far: false, tree: false} {
		if answer := h.ask(t, object); strings.Contains(answer, "PACK") != given || strings.Contains(answer, "not our ref "+object) == given {
			t.Errorf("of %s: %.200q", object, answer)
		}
	}
}

// ask asks for a commit, whatever refs there are, and returns what is answered.
func (h *house) ask(t *testing.T, want string) string {
	t.Helper()
	var request bytes.Buffer
	lines := pktline.NewEncoder(&request)
	if err := errors.Join(lines.EncodeString("want "+want+"\n"), lines.Flush(), lines.EncodeString("done\n")); err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(h.url+"/git-upload-pack", "application/x-git-upload-pack-request", &request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// What a clone lacks because its own server lacked it, its followers lack, too, and know.
func TestShallowIsToldOn(t *testing.T) {
	origin := newRepo(t)
	origin.commits(30)
	few := filepath.Join(t.TempDir(), "few")
	runGit(t, t.TempDir(), "clone", "-q", "--depth", "3", "file://"+origin.dir, few)
	h := newHouse(t, Options{URL: few, Dir: filepath.Join(t.TempDir(), "clone")}, httptest.NewServer)
	tip := h.mustFetch(t, "").Hash
	copied := filepath.Join(t.TempDir(), "copy")
	runGit(t, t.TempDir(), "clone", "-q", h.url, copied)
	if n := runGit(t, copied, "rev-list", "--count", "HEAD"); n != "3" {
		t.Errorf("%s commits", n)
	}
	origin.commit("new.toml", "a = 1\n")
	runGit(t, few, "pull", "-q")
	next := h.mustFetch(t, tip).Hash
	runGit(t, copied, "fetch", "-q")
	runGit(t, copied, "fsck", "--strict")
	if got := runGit(t, copied, "rev-parse", "origin/main"); got != next {
		t.Errorf("fetched %s, want %s", got, next)
	}
}

// follower is another gitboot of a house with TLS.
func (h *house) follower(t *testing.T, server *httptest.Server) Options {
	t.Helper()
	o := Options{URL: h.url, Dir: filepath.Join(t.TempDir(), "follower"), CAFile: filepath.Join(t.TempDir(), "ca.pem")}
	writeFile(t, o.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return o
}

// Tags by which the clone follows its tip, and those that approve of it, are given on: who
// trusts nothing but these follows it as any remote.
func TestTagsAreGivenOn(t *testing.T) {
	key, pub := newKey(t, "ada")
	origin := newRepo(t)
	origin.signing(key)
	origin.commit("gitboot.toml", "a = 0\n", "--no-gpg-sign")
	origin.tag("v1.0.0", "-s")
	o := origin.options()
	o.Ref, o.ApproveKeys = "v1.*", trusting(t, "", pub)
	var server *httptest.Server
	h := newHouse(t, o, func(handler http.Handler) *httptest.Server {
		server = httptest.NewTLSServer(handler)
		return server
	})
	other := h.follower(t, server)
	other.Ref, other.TrustedKeys, other.ApproveKeys = o.Ref, o.ApproveKeys, o.ApproveKeys
	git := func(args ...string) string {
		return runGit(t, t.TempDir(), append([]string{"-c", "http.sslCAInfo=" + other.CAFile}, args...)...)
	}
	const pattern = "approved/*"
	first := h.mustFetch(t, "").Hash
	if rev := open(t, other).mustFetch(t, ""); rev.Hash != first || rev.Tag != "v1.0.0" {
		t.Errorf("followed %+v, want %s", rev, first)
	}
	if got, want := git("ls-remote", h.url), origin.git("ls-remote", "."); got != want {
		t.Errorf("refs: %s, want %s", got, want)
	}

	// A higher version, which only one of its tags is of, and one that approves.
	tip := origin.commit("gitboot.toml", "a = 1\n", "--no-gpg-sign")
	origin.git("tag", "v1.1.0")
	origin.tag("approved/1", "-s")
	origin.git("tag", "approved/light")
	if got := heard(t, o, tip, pattern); got != "approved/1 by Ada" {
		t.Fatalf("the house hears %q", got)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	git("clone", "-q", h.url, copied)
	runGit(t, copied, "fsck", "--strict")
	if got := runGit(t, copied, "tag", "-l"); got != "approved/1\napproved/light\nv1.1.0" {
		t.Errorf("cloned tags: %s", got)
	}
	var untrusted *UntrustedError
	if _, err := open(t, other).Fetch(t.Context(), first); !errors.As(err, &untrusted) {
		t.Errorf("a tag that nobody has signed: %v", err)
	}
	other.TrustedKeys = ""
	if got := heard(t, other, tip, pattern); got != "approved/1 by Ada" {
		t.Errorf("another hears %q", got)
	}

	// What is taken away is given on no more.
	origin.git("tag", "-d", "approved/1")
	heard(t, o, tip, pattern)
	if got := heard(t, other, tip, pattern); !strings.Contains(got, "approved/1, which approved of it, was moved or removed") {
		t.Errorf("another hears %q", got)
	}
	was := listing(t, o.Dir)
	heard(t, o, tip, pattern)
	if is := listing(t, o.Dir); is != was {
		t.Errorf("nothing new is written:\n%s%s", was, is)
	}
}

// Who was told of a tag gets it though another is followed by now, but not for ever.
func TestATagThatMovedOnIsGiven(t *testing.T) {
	origin := newRepo(t)
	o := origin.options()
	o.Ref = "v1.*"
	h := newHouse(t, o, httptest.NewServer)
	told, last := "", ""
	for i, given := range []bool{true, true, false} {
		origin.commit("gitboot.toml", fmt.Sprintf("a = %d\n", i))
		origin.tag(fmt.Sprintf("v1.%d.0", i))
		last = h.mustFetch(t, last).Hash
		if i == 0 {
			told = origin.git("rev-parse", "v1.0.0")
		}
		if answer := h.ask(t, told); strings.Contains(answer, "PACK") != given || strings.Contains(answer, "not our ref "+told) == given {
			t.Errorf("after %d versions: %.200q", i, answer)
		}
	}
}

// A name that is a tag is no branch besides.
func TestATagIsNoBranch(t *testing.T) {
	origin := newRepo(t)
	origin.commit("gitboot.toml", "a = 0\n")
	origin.git("tag", "stable")
	o := origin.options()
	o.Ref = "stable"
	h := newHouse(t, o, httptest.NewServer)
	tip := h.mustFetch(t, "").Hash
	if got := runGit(t, t.TempDir(), "ls-remote", h.url); got != tip+"\tHEAD\n"+tip+"\trefs/heads/main\n"+tip+"\trefs/tags/stable" {
		t.Errorf("refs: %s", got)
	}
}
