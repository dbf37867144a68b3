package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/tests/lab"
)

// A darch stages an image as Darch does: pull, unpack, squash the whole tree
// with mksquashfs's defaults.
type darch struct {
	site *site
	w    *world // whose image it takes
	dir  string
}

func (s *site) newDarch(w *world) *darch { return &darch{site: s, w: w, dir: s.path("darch")} }

// forget removes all that was pulled and made.
func (d *darch) forget() error { return fresh(d.dir) }

// forgetOutput keeps the blobs that were pulled.
func (d *darch) forgetOutput() error {
	return errors.Join(os.RemoveAll(filepath.Join(d.dir, "bundle")), os.RemoveAll(filepath.Join(d.dir, "root.squashfs")))
}

func (d *darch) pull(ctx context.Context, ref string) error {
	_, err := script(ctx, d.pullCommand(ref))
	return err
}

func (d *darch) pullCommand(ref string) string {
	return fmt.Sprintf("skopeo --insecure-policy copy -q --src-tls-verify=false docker://%s oci:%s/layout:os", ref, d.dir)
}

func (d *darch) side(prepare func(context.Context, int) error) side {
	return side{
		command: "skopeo copy docker://REF oci:layout:os && umoci unpack --image layout:os bundle && mksquashfs bundle/rootfs root.squashfs",
		prepare: prepare,
		run: func(ctx context.Context, _ int) (usage, error) {
			return script(ctx, fmt.Sprintf(`%s
				umoci unpack --image %[2]s/layout:os %[2]s/bundle
				mksquashfs %[2]s/bundle/rootfs %[2]s/root.squashfs -quiet -no-progress`, d.pullCommand(d.w.ref), d.dir))
		},
	}
}

// An ostree is a repository with Debian in it, a second one that has pulled
// it, and a tree from which the first one commits.
type ostree struct{ dir string }

func (s *site) newOSTree(ctx context.Context) (*ostree, error) {
	o := &ostree{dir: s.path("ostree")}
	if err := fresh(o.dir); err != nil {
		return nil, err
	}
	// Devices are left out: ostree cannot hold them.
	_, err := lab.Run(ctx, "bash", "-e", "-c", fmt.Sprintf(`
		mkdir -p %[1]s/tree/opt/bench
		tar -C %[1]s/tree --exclude=./dev/* -xpf %[2]s
		ostree --repo=%[1]s/from init --mode=bare
		ostree --repo=%[1]s/to init --mode=bare`, o.dir, s.rootfs))
	if err != nil {
		return nil, err
	}
	if err := o.commit(ctx, -1); err != nil {
		return nil, err
	}
	_, err = lab.Run(ctx, "ostree", "--repo="+o.dir+"/to", "pull-local", o.dir+"/from", "os")
	return o, err
}

// commit changes the small file and commits the tree.
func (o *ostree) commit(ctx context.Context, round int) error {
	if err := os.WriteFile(filepath.Join(o.dir, "tree/opt/bench/data"), smallContent(round+1), 0o644); err != nil {
		return err
	}
	_, err := lab.Run(ctx, "ostree", "--repo="+o.dir+"/from", "commit", "--branch=os", "--tree=dir="+o.dir+"/tree")
	return err
}

func (o *ostree) side() side {
	return side{
		command: "ostree --repo=to pull-local from os && ostree --repo=to checkout os ROOT",
		prepare: o.commit,
		run: func(ctx context.Context, round int) (usage, error) {
			return script(ctx, fmt.Sprintf(`
				ostree --repo=%[1]s/to pull-local %[1]s/from os
				ostree --repo=%[1]s/to checkout os %[1]s/root%[2]d`, o.dir, round))
		},
	}
}
