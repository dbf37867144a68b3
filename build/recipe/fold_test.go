package recipe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/image"
)

func names(parts []Part) (out []string) {
	for _, p := range parts {
		out = append(out, p.Name)
	}
	return out
}

func TestKeysOfManyFilesStaySmall(t *testing.T) {
	few := map[string]string{"etc/a": "1", "etc/b/c": "2", "top": "3"}
	if got := names(foldParts(few)); !slices.Equal(got, []string{"etc/a", "etc/b/c", "top"}) {
		t.Errorf("few: %q", got)
	}
	many := map[string]string{"etc/passwd": "1", "etc/ssh/config": "1", "usr/bin/x": "1"}
	for i := range 1000 {
		many[fmt.Sprintf("usr/share/icons/%d.png", i)] = "1"
		many[fmt.Sprintf("usr/share/doc/%d/copyright", i%40)] = "1"
	}
	before := foldParts(many)
	got := names(before)
	for _, want := range []string{"etc/passwd", "etc/ssh/config", "usr/bin/x", "usr/share/icons/…", "usr/share/doc/7/copyright"} {
		if !slices.Contains(got, want) {
			t.Errorf("many lacks %s: %q", want, got)
		}
	}
	if len(got) > maxFiles {
		t.Errorf("%d parts", len(got))
	}
	many["usr/share/icons/7.png"] = "2"
	if got := Key(foldParts(many)).Differences(before); !slices.Equal(got, []string{"usr/share/icons/… changed"}) {
		t.Errorf("a change in a folded folder: %q", got)
	}
	if got := (Key)(nil).Differences(before); len(got) != maxDifferences+1 || got[maxDifferences] != fmt.Sprintf("and %d more", len(before)-maxDifferences) {
		t.Errorf("many differences: %q", got)
	}
	flat := map[string]string{}
	for i := range 100 {
		flat[fmt.Sprint(i)] = "1"
	}
	if got := names(foldParts(flat)); !slices.Equal(got, []string{"…"}) {
		t.Errorf("flat: %q", got)
	}
	deep := map[string]string{}
	for i := range 200 {
		deep[fmt.Sprintf("a/%s/f", strings.Repeat("x/", i))] = "1"
		deep[fmt.Sprintf("b/%d/c/f", i)] = "1"
	}
	if got := foldParts(deep); len(got) > maxFiles {
		t.Errorf("deep: %q", names(got))
	}
}

func TestImagesThatStepsNameArePinned(t *testing.T) {
	files := recipetest.Repo(map[string]string{
		"a": "ARG NONE=scratch\nARG ALIAS=made\nARG GO=golang\nARG VERSION\nARG TOOLS=\"tools-${TARGETARCH}:1\"\nFROM --platform=$BUILDPLATFORM ${GO}:${VERSION:-1.26} AS made\nRUN make\n" +
			"FROM $NONE AS none\nFROM $ALIAS AS again\nFROM $TOOLS AS tools\nFROM $GITBOOT_FROM\nCOPY --chown=0:0 \\\n  # why\n  --from=docker.io/busybox:1 /bin/busybox /bin/\n" +
			"COPY --from=made --chmod=755 /x /x\nRUN --mount=type=cache,target=/c --mount=from=golang:1.26,target=/go,type=bind cp --from=made /go/x /\nRUN <<EOF\nfetch --from=made\nEOF\n",
	})
	r := Recipe{FS: files, Containerfiles: []string{"a"}, Platform: "linux/arm64"}
	p := prepare(t, r)
	if want := []string{"golang:1.26", "tools-arm64:1", "docker.io/busybox:1"}; !slices.Equal(p.References, want) {
		t.Fatalf("references %q", p.References)
	}
	before := p.Key(Settings{})
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	digests := map[string]string{"golang:1.26": digest("a"), "tools-arm64:1": digest("b"), "docker.io/busybox:1": digest("c")}
	if err := p.Pin(digests, image.Pinned); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26@" + digest("a") + " AS gitboot-1-made\n",
		"FROM scratch AS gitboot-1-none\n",
		"FROM gitboot-1-made AS gitboot-1-again\n",
		"FROM docker.io/library/tools-arm64:1@" + digest("b") + " AS gitboot-1-tools\n",
		"  --from=docker.io/library/busybox:1@" + digest("c") + " /bin/busybox",
		"COPY --from=gitboot-1-made --chmod=755 /x /x\n",
		"--mount=from=docker.io/library/golang:1.26@" + digest("a") + ",target=/go,type=bind cp --from=made /go/x /\n",
		"fetch --from=made\n",
	} {
		if !strings.Contains(string(p.Containerfile), want) {
			t.Errorf("lacks %q:\n%s", want, p.Containerfile)
		}
	}
	after := p.Key(Settings{})
	if got := after.Differences(before); !slices.Equal(got, []string{"FROM docker.io/busybox:1 changed", "FROM golang:1.26 changed", "FROM tools-arm64:1 changed"}) {
		t.Errorf("differences: %q", got)
	}
	r.Args = map[string]string{"VERSION": "1.27"}
	if p := prepare(t, r); p.References[0] != "golang:1.27" {
		t.Errorf("with an argument: %q", p.References)
	}
}

// The same repo gives the same key wherever it lies.
func TestKeysAreTheSameEverywhere(t *testing.T) {
	content := map[string]string{"f": "FROM $GITBOOT_FROM\nCOPY d /\n"}
	for i := range 100 {
		content[fmt.Sprintf("d/%d/%d", i%9, i)] = fmt.Sprint(i)
	}
	r := Recipe{Containerfiles: []string{"f"}, Args: map[string]string{"B": "1", "A": "2"}, RootfsFixes: true}
	r.FS = recipetest.Repo(content)
	want := prepare(t, r).Key(Settings{Base: "x"})
	for range 5 {
		r.FS = recipetest.Repo(content) // another order of the same map
		if got := prepare(t, r).Key(Settings{Base: "x"}); !got.Equal(want) {
			t.Errorf("%v, not %v", got, want)
		}
	}
}

func TestUnclearReferencesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"FROM golang:$V AS a\nFROM $GITBOOT_FROM":                 "f:1: FROM \"golang:$V\": argument V has no value here; write ARG V=… before the first FROM, or set it in args",
		"ARG V=1\nFROM golang:${V#1} AS a\nFROM $GITBOOT_FROM":    "gitboot knows $NAME",
		"FROM $GITBOOT_FROM\nCOPY --from=$X /a /b":                "engines put no argument in here",
		"FROM $GITBOOT_FROM\nCOPY --from=7 /a /b":                 "there is no stage 7 before it",
		"FROM $GITBOOT_FROM\nRUN a\x000\x00":                      "holds a NUL",
		"FROM $GITBOOT_FROM\nRUN --mount=from=3,target=/x true\n": "there is no stage 3",
	} {
		if got := refused(t, Recipe{FS: recipetest.Repo(map[string]string{"f": text}), Containerfiles: []string{"f"}}); !strings.Contains(got, want) {
			t.Errorf("%q: %v; want %q", text, got, want)
		}
	}
}
