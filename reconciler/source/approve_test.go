package source

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// heard is what the tags of a pattern say, in a line: the one that approves, or why
// none does.
func heard(t *testing.T, o Options, of, pattern string) string {
	t.Helper()
	src := open(t, o)
	rev := src.mustFetch(t, "")
	if of != "" && rev.Hash != of {
		t.Fatalf("followed %s, not %s", rev.Hash, of)
	}
	verdicts, err := Approvals(t.Context(), src, rev.Hash, []string{pattern})
	if err != nil {
		t.Fatal(err)
	}
	v := verdicts[pattern]
	if v.Tag != "" {
		return v.Tag + " by " + v.Who
	}
	return strings.Join(v.Against, "; ")
}

// TestApprovals has tags approve of a commit, by each way to a repo, with git's own
// gpg and ssh-keygen.
func TestApprovals(t *testing.T) {
	r := newRepo(t)
	g := newGPGKey(t)
	key, pub := newKey(t, "ada")
	other, _ := newKey(t, "eve")
	keys := trusting(t, "", pub)
	ring, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, keys, string(ring)+g.export())
	before := r.commit("a", "1")
	tip := r.commit("a", "2")
	for name, o := range remotes(t, r) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			for tag := range strings.Lines(r.git("tag", "-l")) {
				r.git("tag", "-d", strings.TrimSpace(tag))
			}
			o.ApproveTags = []string{"approved/*"}
			says := func(what, want string) {
				t.Helper()
				if got := heard(t, o, tip, "approved/*"); !strings.Contains(got, want) || want == "" && got != "" {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			says("without keys", "no key is trusted on this machine; name a file of keys in agent.toml")
			o.ApproveKeys = keys
			says("no tag", "")
			r.git("tag", "approved/light")
			says("lightweight", "tag approved/light: it is not annotated; make it with git tag --sign")
			r.git("tag", "-d", "approved/light")
			r.tag("approved/plain")
			says("unsigned", "tag approved/plain: it is not signed")
			r.git("config", "gpg.format", "ssh")
			r.git("config", "user.signingkey", other)
			r.tag("approved/eve", "-s")
			says("somebody else's", "tag approved/eve: it is signed by the key SHA256:")
			r.git("config", "user.signingkey", key)
			r.tag("v1", "-s")
			r.tag("approved/deeper/1", "-s")
			r.tag("approved/before", "-s", "-f")
			r.git("tag", "-d", "approved/before")
			r.git("tag", "-s", "-m", "of the one before", "approved/before", before)
			says("other names, and another commit", "tag approved/eve: it is signed by the key")
			r.git("update-ref", "refs/tags/approved/called", r.git("rev-parse", "v1"))
			says("another name's tag", `tag approved/called: it calls itself "v1"`)
			r.git("tag", "-s", "-m", "of a tag", "approved/chain", "v1")
			says("a tag of a tag", `tag approved/chain: where "type commit" belongs is "type tag"; tag the commit itself`)
			r.tag("approved/ssh", "-s")
			says("signed", "approved/ssh by Ada")
			r.git("tag", "-d", "approved/ssh")
			says("removed", "tag approved/ssh, which approved of it, was moved or removed")
			r.git("tag", "-s", "-m", "moved", "approved/ssh", before)
			says("moved", "tag approved/ssh, which approved of it, was moved or removed")
			g.signs(r)
			r.tag("approved/z-gpg", "-s")
			says("signed with gpg", "approved/z-gpg by Ada")
			was := listing(t, o.Dir)
			says("again", "approved/z-gpg by Ada")
			if is := listing(t, o.Dir); is != was {
				t.Errorf("nothing new is written:\n%s%s", was, is)
			}
			runGit(t, o.Dir, "fsck", "--strict")
			o.ApproveTags = nil // not known before the commit is read
			says("asked for by itself", "approved/z-gpg by Ada")
			if got := heard(t, o, tip, "other/*"); got != "" {
				t.Errorf("of no such name: %q", got)
			}
		})
	}
}

// Tags of commits that were followed before do not stay.
func TestKeptTags(t *testing.T) {
	r := newRepo(t)
	key, pub := newKey(t, "ada")
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", key)
	o := r.options()
	o.TrustedKeys, o.ApproveKeys = "", trusting(t, "", pub)
	for i := range 3 {
		tip := r.commit("a", strings.Repeat("x", i+1))
		r.tag("approved", "-s", "-f")
		if got := heard(t, o, tip, "approved"); got != "approved by Ada" {
			t.Fatal(got)
		}
	}
	if of, err := os.ReadDir(filepath.Join(o.Dir, "approvals")); err != nil || len(of) != 1 {
		t.Errorf("of %d commits, %v", len(of), err)
	}
}

// A look that finds nothing new asks once, whatever tags there are, and one more time
// for a tag that it has not seen.
func TestTagsCostNoConversation(t *testing.T) {
	r := newRepo(t)
	key, pub := newKey(t, "ada")
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", key)
	tip := r.commit("a", "1")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	o.ApproveKeys, o.ApproveTags = trusting(t, "", pub), []string{"approved"}
	heard(t, o, tip, "approved")
	var requests atomic.Int32
	server.instead = func(http.ResponseWriter, *http.Request) bool { requests.Add(1); return false }
	asked := func() int32 { return requests.Swap(0) }
	heard(t, o, tip, "approved")
	if n := asked(); n != 1 {
		t.Errorf("%d requests for nothing", n)
	}
	r.tag("approved", "-s")
	heard(t, o, tip, "approved")
	if n := asked(); n != 3 {
		t.Errorf("%d requests for a new tag", n)
	}
	heard(t, o, tip, "approved")
	if n := asked(); n != 1 {
		t.Errorf("%d requests with a tag", n)
	}
}

// A tag that cannot be had approves of nothing, and fails nothing else.
func TestTagsThatCannotBeHad(t *testing.T) {
	r := newRepo(t)
	_, pub := newKey(t, "ada")
	tip := r.commit("a", "1")
	o := r.options()
	o.ApproveKeys, o.ApproveTags = trusting(t, "", pub), []string{"approved"}
	r.tag("approved")
	object := r.git("rev-parse", "approved")
	src := open(t, o)
	src.mustFetch(t, "")
	if err := os.Remove(filepath.Join(r.dir, ".git", "objects", object[:2], object[2:])); err != nil {
		t.Fatal(err)
	}
	verdicts, err := Approvals(t.Context(), src, tip, []string{"approved"})
	if v := verdicts["approved"]; err != nil || v.Tag != "" || len(v.Against) != 1 || !strings.HasPrefix(v.Against[0], "tag approved: fetching it: ") {
		t.Errorf("%+v, %v", v, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Approvals(ctx, src, tip, []string{"approved"}); err == nil {
		t.Error("it goes on though it was cancelled")
	}
}
