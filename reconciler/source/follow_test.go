package source

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// remotes gives a repo by each way there is.
func remotes(t *testing.T, r *repo) map[string]Options {
	t.Helper()
	key, pub := newKey(t, "client")
	return map[string]Options{
		"path": r.options(), "https": newHTTPSServer(t, r).options(t, r), "ssh": newSSHServer(t, pub).options(t, r, key),
	}
}

// tag makes an annotated tag of HEAD.
func (r *repo) tag(name string, args ...string) {
	r.t.Helper()
	r.git(append([]string{"tag", "-a", "-m", "release " + name}, append(args, name)...)...)
}

// TestFollowTags follows tags and versions, of which some are no ancestors of
// the next.
func TestFollowTags(t *testing.T) {
	r := newRepo(t)
	base := r.commit("a", "1.4.0")
	r.tag("v1.4.0")
	for name, o := range remotes(t, r) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.git("checkout", "-q", "-B", "main", base)
			for tag := range strings.Lines(r.git("tag", "-l")) {
				if tag = strings.TrimSpace(tag); tag != "v1.4.0" {
					r.git("tag", "-d", tag)
				}
			}
			r.git("checkout", "-q", "-B", "release-1.4", base)
			o.Ref = "v1.*"
			rev := open(t, o).mustFetch(t, "")
			if rev.Hash != base || rev.Tag != "v1.4.0" {
				t.Fatalf("first: %+v", rev)
			}
			fix := r.commit("a", "1.4.1")
			if rev := open(t, o).mustFetch(t, base); rev.Hash != base {
				t.Errorf("followed %+v, which has no tag", rev)
			}
			r.git("tag", "v1.4.1") // not annotated
			if rev := open(t, o).mustFetch(t, base); rev.Hash != fix || rev.Tag != "v1.4.1" {
				t.Errorf("then: %+v", rev)
			}
			r.git("checkout", "-q", "main")
			next := r.commit("b", "1.5.0")
			r.tag("v1.5.0-rc.1")
			if rev := open(t, o).mustFetch(t, fix); rev.Hash != fix {
				t.Errorf("a pre-release was taken: %+v", rev)
			}
			r.tag("v1.5.0") // not after 1.4.1
			if rev := open(t, o).mustFetch(t, fix); rev.Hash != next || open(t, o).mustRead(t, next, "b") != "1.5.0" {
				t.Errorf("a higher version: %+v", rev)
			}
			runGit(t, o.Dir, "fsck", "--strict")
			before := listing(t, o.Dir)
			open(t, o).mustFetch(t, next)
			if after := listing(t, o.Dir); after != before {
				t.Errorf("nothing new is written:\n%s%s", before, after)
			}
			r.git("tag", "-d", "v1.5.0")
			var rewritten *RewrittenError
			if _, err := open(t, o).Fetch(t.Context(), next); !errors.As(err, &rewritten) || !strings.Contains(err.Error(), `the tag "v1.4.1" any more (nor is that a higher version than v1.5.0)`) {
				t.Errorf("the tag is gone: %v", err)
			}
			o.AcceptRewrite = fix
			if rev := open(t, o).mustFetch(t, next); rev.Hash != fix {
				t.Errorf("accepted: %+v", rev)
			}
		})
	}
}

// TestTagMoves moves a tag to what comes after it, and elsewhere.
func TestTagMoves(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	r.tag("stable")
	for name, o := range remotes(t, r) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.git("reset", "-q", "--hard", first)
			r.tag("stable", "-f")
			o.Ref = "stable"
			open(t, o).mustFetch(t, "")
			second := r.commit("a", "2")
			r.tag("stable", "-f")
			if rev := open(t, o).mustFetch(t, first); rev.Hash != second {
				t.Errorf("forward: %+v", rev)
			}
			r.tag("stable", "-f", "-m", "again") // another tag of the same commit
			open(t, o).mustFetch(t, second)
			r.git("reset", "-q", "--hard", first)
			r.tag("stable", "-f")
			var rewritten *RewrittenError
			if _, err := open(t, o).Fetch(t.Context(), second); !errors.As(err, &rewritten) || strings.Contains(err.Error(), "version") {
				t.Errorf("back: %v", err)
			}
			r.git("tag", "-a", "-m", "of a tag", "chain", "stable")
			o.Ref = "chain"
			var form *FormError
			if _, err := open(t, o).Fetch(t.Context(), first); !errors.As(err, &form) || !strings.Contains(err.Error(), "tag the commit itself") {
				t.Errorf("a tag of a tag: %v", err)
			}
			r.git("tag", "-d", "chain")
		})
	}
}

// TestUnknownVersion has lost which version was applied.
func TestUnknownVersion(t *testing.T) {
	r := newRepo(t)
	base := r.commit("a", "0")
	r.git("checkout", "-q", "-b", "release")
	fix := r.commit("a", "1")
	r.git("tag", "v1.4.1")
	o := r.options()
	o.Ref = "v1.*"
	open(t, o).mustFetch(t, "")
	removeAll(t, o.Dir)
	r.git("checkout", "-q", "-b", "next", base)
	r.commit("b", "2")
	r.git("tag", "v1.5.0")
	var rewritten *RewrittenError
	if _, err := open(t, o).Fetch(t.Context(), fix); !errors.As(err, &rewritten) || !strings.Contains(err.Error(), "nor is it known which version that was") {
		t.Error(err)
	}
}

// TestTagsSurviveCompaction follows more tags than there are packs.
func TestTagsSurviveCompaction(t *testing.T) {
	r := newRepo(t)
	o := r.options()
	o.Ref = "v1.*"
	applied := ""
	for i := range 25 {
		r.commit("a", strings.Repeat("x", i+1))
		r.tag(fmt.Sprintf("v1.%d.0", i))
		applied = open(t, o).mustFetch(t, applied).Hash
	}
	runGit(t, o.Dir, "fsck", "--strict")
	before := listing(t, o.Dir)
	open(t, o).mustFetch(t, applied)
	if after := listing(t, o.Dir); after != before {
		t.Errorf("nothing new is written:\n%s%s", before, after)
	}
}

// TestSignedTags follows tags of which some are signed, with git's own gpg and
// ssh-keygen.
func TestSignedTags(t *testing.T) {
	r := newRepo(t)
	base := r.commit("a", "0") // no commit is signed
	g := newGPGKey(t)
	key, pub := newKey(t, "ada")
	o := r.options()
	o.Ref, o.TrustedKeys = "v1.*", trusting(t, "", pub)
	ring, err := os.ReadFile(o.TrustedKeys)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, o.TrustedKeys, string(ring)+g.export())
	refused := func(why string) {
		t.Helper()
		before, _ := usedBelow(t, o.Dir)
		if _, err := open(t, o).Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v; want: %s", err, why)
		}
		if after, names := usedBelow(t, o.Dir); after != before {
			t.Errorf("%s: something stays of what was refused: %d bytes, then %d: %v", why, before, after, names)
		}
	}
	r.tag("v1.0.0")
	if _, err := open(t, o).Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "it is not signed, and of the tag ") {
		t.Errorf("unsigned: %v", err)
	}
	g.signs(r)
	r.tag("v1.0.1", "-s")
	s := open(t, o)
	if rev := s.mustFetch(t, ""); rev.Hash != base || rev.Tag != "v1.0.1" || s.mustRead(t, base, "a") != "0" {
		t.Errorf("signed with gpg: %+v", rev)
	}
	r.git("checkout", "-q", "-b", "release")
	fix := r.commit("a", "1")
	r.signing(key)
	r.git("config", "commit.gpgsign", "false")
	r.tag("v1.1.1", "-s")
	if rev := open(t, o).mustFetch(t, base); rev.Hash != fix {
		t.Errorf("signed with ssh: %+v", rev)
	}
	r.git("checkout", "-q", "main")
	r.commit("b", "2", "-S")
	r.git("tag", "v1.2.0") // of a signed commit that is not after 1.1.1
	refused("(and its version counts for nothing, as no trusted key has signed the tag)")
	r.git("tag", "-d", "v1.2.0")
	r.git("update-ref", "refs/tags/v1.9.0", r.git("rev-parse", "v1.0.1"))
	refused(`it calls itself "v1.0.1"`)
	r.git("tag", "-d", "v1.9.0")
	r.tag("v1.2.0", "-s")
	if rev := open(t, o).mustFetch(t, fix); rev.Tag != "v1.2.0" {
		t.Errorf("a signed higher version: %+v", rev)
	}
	r.git("tag", "-d", "v1.2.0")
	refused("nor is that a higher version than v1.2.0")
}
