package source

import "testing"

// What a ref beside the followed one names is known of every kind of remote, and
// looking there moves nothing.
func TestBeside(t *testing.T) {
	for what, options := range map[string]func(*testing.T, *repo) Options{
		"a folder": func(_ *testing.T, r *repo) Options { return r.options() },
		"a server": func(t *testing.T, r *repo) Options { return newHTTPSServer(t, r).options(t, r) },
	} {
		r := newRepo(t)
		followed := r.commit("a", "1")
		o := options(t, r)
		o.Beside = "refs/heads/testing/laptop"
		if rev := open(t, o).mustFetch(t, ""); rev.Hash != followed || rev.Beside != "" {
			t.Errorf("%s: without the branch: %+v", what, rev)
		}
		branch := r.git("branch", "--show-current")
		r.git("checkout", "-q", "-b", "testing/laptop")
		tip := r.commit("a", "2")
		r.git("checkout", "-q", branch)
		if rev := open(t, o).mustFetch(t, followed); rev.Hash != followed || rev.Beside != tip {
			t.Errorf("%s: with it, which has %s: %+v", what, tip, rev)
		}
		look := o
		look.Ref, look.Look = o.Beside, true
		s := open(t, look)
		if rev := s.mustFetch(t, followed); rev.Hash != tip || s.mustRead(t, tip, "a") != "2" {
			t.Errorf("%s: the branch itself: %+v", what, rev)
		}
		if rev := open(t, o).mustFetch(t, followed); rev.Hash != followed {
			t.Errorf("%s: after a look: %+v", what, rev)
		}
		r.git("branch", "-D", "testing/laptop")
		if rev := open(t, o).mustFetch(t, followed); rev.Beside != "" {
			t.Errorf("%s: without it again: %+v", what, rev)
		}
	}
}
