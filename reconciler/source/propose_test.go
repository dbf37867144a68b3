package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/source/proposal"
)

func takeBack(good, bad string) Proposal {
	return Proposal{Branch: "gitboot/revert-laptop-" + bad[:12], Commit: proposal.Commit{
		Good: good, Bad: bad, Who: "gitboot on laptop <gitboot@laptop>", When: time.Unix(1767323045, 0),
		Message: func(named []proposal.Reverted, count int) string {
			text := fmt.Sprintf("Revert %d commits\n\n", count)
			for _, n := range named {
				text += n.Hash + " " + n.Subject + "\n"
			}
			return text
		},
	}}
}

// What was bad is taken back on a branch of its own, which git takes for what it is:
// its tree is that of the last good commit, whatever came between, and a merge with
// what is followed takes back those commits and no later one.
func TestPropose(t *testing.T) {
	key, pub := newKey(t, "client")
	for way, options := range map[string]func(*repo) Options{
		"path":  func(r *repo) Options { return r.options() },
		"https": func(r *repo) Options { return newHTTPSServer(t, r).options(t, r) },
		"ssh":   func(r *repo) Options { return newSSHServer(t, pub).options(t, r, key) },
	} {
		t.Run(way, func(t *testing.T) {
			r := newRepo(t)
			r.git("config", "http.receivepack", "true")
			good := r.commit("a", "1")
			r.commit("a", "2")
			r.git("mv", "a", "b")
			bad := r.commitAll("move a")
			o := options(r)
			open(t, o).mustFetch(t, "")
			p := takeBack(good, bad)
			hash, err := Propose(t.Context(), o, p)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Propose(t.Context(), o, p); err != nil || again != hash {
				t.Errorf("once more: %s, %v", again, err)
			}
			if got := r.git("rev-parse", p.Branch, p.Branch+"^", p.Branch+"^{tree}"); got != hash+"\n"+bad+"\n"+r.git("rev-parse", good+"^{tree}") {
				t.Errorf("the branch is %s", got)
			}
			if got := r.git("log", "-1", "--format=%an <%ae> %B", p.Branch); !strings.HasPrefix(got, "gitboot on laptop <gitboot@laptop> Revert 2 commits\n\n"+bad+" move a\n") {
				t.Errorf("it says %q", got)
			}
			if r.git("rev-parse", "main") != bad {
				t.Error("what is followed was moved")
			}
			r.git("fsck", "--strict")
			r.commit("c", "later")
			r.git("merge", "-q", "--no-edit", p.Branch)
			if got := r.git("ls-tree", "--name-only", "main"); got != "a\nc" || r.git("show", "main:a") != "1" {
				t.Errorf("merged, there is %q", got)
			}
			other := p
			other.When = other.When.Add(time.Hour)
			if _, err := Propose(t.Context(), o, other); err == nil || !strings.Contains(err.Error(), "the branch is there, at "+hash) || strings.Contains(err.Error(), "credential") {
				t.Errorf("over another: %v", err)
			}
			if _, err := Propose(t.Context(), o, takeBack(bad, good)); !errors.Is(err, ErrNothing) {
				t.Errorf("the other way round: %v", err)
			}
			o.Ref = p.Branch
			if _, err := Propose(t.Context(), o, p); err == nil || !strings.Contains(err.Error(), "to which nothing is pushed") {
				t.Errorf("to what is followed: %v", err)
			}
		})
	}
}

// Who may not push is told what to do, and a server that is away is told from that.
func TestProposalsRefused(t *testing.T) {
	r := newRepo(t)
	good := r.commit("a", "1")
	bad := r.commit("a", "2")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	open(t, o).mustFetch(t, "")
	p := takeBack(good, bad)
	refused := func(what, want string) {
		t.Helper()
		var no *RefusedError
		if _, err := Propose(t.Context(), o, p); !errors.As(err, &no) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "push_token_file") || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a token that may read alone", o.TokenFile) // git's own server: service not enabled
	r.git("config", "http.receivepack", "true")
	hook := filepath.Join(r.dir, ".git/hooks/update")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused("a rule", "hook declined")
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	reading := o.TokenFile
	o.TokenFile, o.PushTokenFile = filepath.Join(t.TempDir(), "reading"), reading
	writeFile(t, o.TokenFile, "reads only\n")
	if _, err := Propose(t.Context(), o, p); err != nil {
		t.Errorf("with a token of its own: %v", err)
	}
	server.Close()
	var away *UnreachableError
	if _, err := Propose(context.Background(), o, takeBack(good, bad)); !errors.As(err, &away) {
		t.Errorf("a server that is away: %v", err)
	}
}

// A repo of another user's, whose links lead elsewhere, is not written to outside.
func TestProposalStaysInTheRepo(t *testing.T) {
	r := newRepo(t)
	good := r.commit("a", "1")
	bad := r.commit("a", "2")
	o := r.options()
	open(t, o).mustFetch(t, "")
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(r.dir, ".git/refs/heads/gitboot")); err != nil {
		t.Fatal(err)
	}
	_, err := Propose(t.Context(), o, takeBack(good, bad))
	entries, readErr := os.ReadDir(elsewhere)
	if err == nil || readErr != nil || len(entries) > 0 {
		t.Errorf("%v, and %v lies outside (%v)", err, entries, readErr)
	}
}
