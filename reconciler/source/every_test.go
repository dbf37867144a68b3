package source

import (
	"errors"
	"strings"
	"testing"
)

// TestEveryCommitIsSigned refuses an unsigned commit wherever it hides, and
// takes a later good one.
func TestEveryCommitIsSigned(t *testing.T) {
	key, pub := newKey(t, "ada")
	r := newRepo(t)
	r.commit("old", "unsigned")
	r.signing(key)
	first := r.commit("a", "1")
	o := newHTTPSServer(t, r).options(t, r)
	o.TrustedKeys, o.Every = trusting(t, "", pub), true
	open(t, o).mustFetch(t, "") // the tip alone, as nothing is known yet
	second := r.commit("a", "2")
	third := r.commit("a", "3")
	open(t, o).mustFetch(t, first)

	merge := func() string {
		r.git("checkout", "-q", "main")
		r.git("merge", "-q", "-S", "--no-ff", "--no-edit", "side")
		return r.git("rev-parse", "HEAD")
	}
	refused := func(name, applied, bad string) {
		t.Helper()
		before, _ := usedBelow(t, o.Dir)
		var untrusted *UntrustedError
		if _, err := open(t, o).Fetch(t.Context(), applied); !errors.As(err, &untrusted) || untrusted.Hash != bad || !strings.Contains(err.Error(), "git rebase --force-rebase --rebase-merges -S "+third) {
			t.Errorf("%s: %v; want %s", name, err, bad)
		}
		if after, names := usedBelow(t, o.Dir); after != before {
			t.Errorf("%s: something stays of what was refused: %v", name, names)
		}
		tip := o
		tip.Every, tip.Look = false, true
		open(t, tip).mustFetch(t, applied) // the tip itself is good
	}
	r.git("checkout", "-q", "-b", "side", second)
	bad := r.commit("b", "unsigned", "--no-gpg-sign")
	r.commit("b", "signed")
	merge()
	refused("on the merged side", third, bad)
	refused("with the applied one lost", "", bad)

	r.git("reset", "-q", "--hard", third)
	bad = r.commit("a", "unsigned", "--no-gpg-sign")
	r.commit("a", "signed")
	refused("below the tip", third, bad)

	r.git("reset", "-q", "--hard", third)
	r.git("checkout", "-q", "-B", "side", second)
	r.commit("b", "signed")
	good := merge()
	if rev := open(t, o).mustFetch(t, third); rev.Hash != good {
		t.Errorf("a later good one: %+v", rev)
	}
	removeAll(t, o.Dir)
	if rev := open(t, o).mustFetch(t, third); rev.Hash != good {
		t.Errorf("with the clone lost: %+v", rev)
	}
	removeAll(t, o.Dir)
	o.MinRevision = first
	open(t, o).mustFetch(t, "")
	removeAll(t, o.Dir)
	root := r.git("rev-parse", first+"^")
	o.MinRevision = root
	open(t, o).mustFetch(t, "")
}

// TestEveryOfWhatIsLacking has a server say that it has no parents of a commit.
func TestEveryOfWhatIsLacking(t *testing.T) {
	key, pub := newKey(t, "ada")
	r := newRepo(t)
	r.signing(key)
	first := r.commit("a", "1")
	o := newHTTPSServer(t, r).options(t, r)
	o.TrustedKeys, o.Every = trusting(t, "", pub), true
	open(t, o).mustFetch(t, "")
	r.git("checkout", "-q", "--orphan", "other")
	r.commit("b", "unsigned", "--no-gpg-sign")
	hidden := r.commit("b", "signed")
	r.git("checkout", "-q", "main")
	r.git("merge", "-q", "-S", "--no-edit", "--allow-unrelated-histories", "other")
	r.lie(hidden)
	var untrusted *UntrustedError
	if _, err := open(t, o).Fetch(t.Context(), first); !errors.As(err, &untrusted) || !strings.Contains(err.Error(), "the remote lacks its parent") {
		t.Error(err)
	}
}
