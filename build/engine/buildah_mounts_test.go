package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
)

// An engine that loses what is mounted over does not pass for one that has
// built, whether it complains or not.
func TestLostMounts(t *testing.T) {
	for _, e := range []*Buildah{newEngine(t), newPodman(t)} {
		base := busybox(t, e)
		old, err := e.before(t.Context(), e.mounts[0], e.mounts[1])
		if err != nil {
			t.Fatal(err)
		}
		e.mounts = [2]int{} // nothing is prevented
		for _, mount := range []string{"type=cache,target=/root", "type=tmpfs,target=/tmp", "type=bind,source=d,target=/etc/resolv.conf.d/../../root"} {
			img, log, err := run(t, e, recipe.Recipe{
				FS:             repo(map[string]string{"d/x": "x", "f": "FROM $GITBOOT_FROM\nRUN echo kept > /root/kept; echo kept > /tmp/kept\nRUN --mount=" + mount + " true\nRUN echo last\n"}),
				Containerfiles: []string{"f"},
			}, Options{Base: base.ID})
			if lost := (*LostMountError)(nil); old {
				if !errors.As(err, &lost) {
					t.Errorf("%s, %s: %v\n%s", e.program, mount, err, log)
				}
			} else if err != nil || contents(t, img)["tmp/kept"].content == "" {
				t.Errorf("%s, %s: %v\n%s", e.program, mount, err, log)
			}
		}
	}
}

// The store lists an image before its configuration is there. One that another
// build is just making is none of this one's business.
func TestLostSeesAnotherBuildsImage(t *testing.T) {
	e := newEngine(t)
	begun := time.Now()
	img := must(t, e, recipe.Recipe{FS: repo(nil), Run: []string{"echo x > /root/x"}}, Options{Base: busybox(t, e).ID})
	id := strings.TrimPrefix(img.ID, "sha256:")
	if err := os.RemoveAll(filepath.Join(e.root, e.driver+"-images", id)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Image(t.Context(), img.ID); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	if err := e.lost(&stepReader{used: map[string]bool{id: true}}, nil, begun); err != nil {
		t.Error(err)
	}
}

func TestShield(t *testing.T) {
	const text = "FROM a\n" +
		"RUN --mount=type=cache,target=/var/cache/x \\\n  --mount=dst=/data/,type=tmpfs true\n" +
		"RUN --mount=type=bind,source=.gitboot/r,target=/run/gitboot-recipe --mount=type=secret,id=x true\n" +
		"run --mount=type=cache,id=y,target=/y --network=none y\n"
	got, links, err := shield(text)
	if err != nil {
		t.Fatal(err)
	}
	at := func(target string) string {
		link, at := linkFor(target)
		if links[link] != target {
			t.Errorf("%s leads to %q, not %q", link, links[link], target)
		}
		return at
	}
	want := "FROM a\n" +
		"RUN --mount=type=bind,source=.gitboot/mounts,target=/run/gitboot-mounts --mount=type=cache,target=" + at("/var/cache/x") + ",id=/var/cache/x \\\n  --mount=target=" + at("/data") + ",type=tmpfs true\n" +
		"RUN --mount=type=bind,source=.gitboot/r,target=/run/gitboot-recipe --mount=type=secret,id=x true\n" +
		"run --mount=type=bind,source=.gitboot/mounts,target=/run/gitboot-mounts --mount=type=cache,id=y,target=" + at("/y") + " --network=none y\n"
	if got != want || len(links) != 3 {
		t.Errorf("%s\nis not\n%s", got, want)
	}
	for _, mount := range []string{"type=cache,target=$X", "type=cache,target=x/y"} {
		if _, _, err := shield("FROM a\nRUN --mount=" + mount + " true\n"); err == nil || !strings.HasPrefix(err.Error(), "line 2: target=") {
			t.Errorf("%s: %v", mount, err)
		}
	}
}

// An engine that takes a heredoc's lines for instructions is not asked to.
func TestHeredocs(t *testing.T) {
	for _, e := range []*Buildah{newEngine(t), newPodman(t)} {
		old, err := e.before(t.Context(), e.heredocs[0], e.heredocs[1])
		if err != nil {
			t.Fatal(err)
		}
		r := recipe.Recipe{FS: repo(map[string]string{"f": "FROM $GITBOOT_FROM\nRUN <<END\necho here > /root/here\nEND\n"}), Containerfiles: []string{"f"}}
		img, log, err := run(t, e, r, Options{Base: busybox(t, e).ID})
		if old {
			if err == nil || !strings.Contains(err.Error(), `"RUN <<END": `+e.program+" knows heredocs from version") {
				t.Errorf("%s: %v", e.program, err)
			}
		} else if err != nil || contents(t, img)["root/here"].content != "here\n" {
			t.Errorf("%s: %v\n%s", e.program, err, log)
		}
	}
}
