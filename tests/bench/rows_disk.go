package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/tests/lab"
)

// diskConfig is a machine whose disk is made.
const diskConfig = `[image.os]
pull     = %q
insecure = true

[machine.bench]
images = ["os"]
`

// nobody is a user who owns nothing, and may do nothing.
const nobody = "65534"

// diskImage compares a disk that is made of what is staged, by a user without rights,
// with a copy of it.
func diskImage(ctx context.Context, s *site, r row) (res result, err error) {
	ref, err := s.image(ctx, "zstd")
	if err != nil {
		return res, err
	}
	dir, err := os.MkdirTemp("", "gitboot-bench-") // the site's is for its owner alone
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	repo, err := lab.NewRepo(ctx, filepath.Join(dir, "config"))
	if err != nil {
		return res, err
	}
	w := &world{site: s, repo: repo}
	if err := w.commit(ctx, fmt.Sprintf(diskConfig, ref)); err != nil {
		return res, err
	}
	if _, err := script(ctx, fmt.Sprintf("cp -r %s %s && chown -R %s %s", s.path("bin"), dir, nobody, dir)); err != nil {
		return res, err
	}
	disk, copied := filepath.Join(dir, "disk.img"), filepath.Join(dir, "copy.img")
	without := func(path string) func(context.Context, int) error {
		return func(context.Context, int) error { return os.RemoveAll(path) }
	}
	argv := slices.Concat([]string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "env", "-i", "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir},
		[]string{filepath.Join(dir, "bin", filepath.Base(s.gitboot)), "disk", "image", "bench", "-o", disk, "--repo", repo.Dir, "--stage", filepath.Join(dir, "stage")})
	ours := side{
		command: "gitboot disk image bench -o disk.img --repo REPO --stage STAGE", prepare: without(disk),
		run: func(ctx context.Context, _ int) (usage, error) { return command(ctx, argv...) },
	}
	theirs := side{
		command: "cp --sparse=always disk.img copy.img && sync copy.img", prepare: without(copied),
		run: func(ctx context.Context, _ int) (usage, error) {
			return script(ctx, fmt.Sprintf("cp --sparse=always %[1]s %[2]s && sync %[2]s", disk, copied))
		},
	}
	res, err = timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 1.5) })
	res.Note = "Ours is run by a user who may do nothing, has a partition table, an EFI system partition and an ext4 made, and is synced as well."
	return res, err
}
