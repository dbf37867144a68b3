package main

import (
	"context"
	"fmt"
	"time"
)

// A row is one line of the table: something gitboot does, and what it is held
// against.
type row struct {
	id, what, against string
	// pairs is how often the two are run in turn.
	pairs   int
	measure func(context.Context, *site, row) (result, error)
}

// A result is what a row came to.
type result struct {
	// Ours and Theirs are the two figures in words.
	Ours, Theirs string
	Checks       []check
	// Commands are what was run, ours first.
	Commands []string
	// Note is what else a reader must know; may be empty.
	Note string
	// Pairs are the samples, if pairs were run.
	Pairs []pair
}

// A check holds one figure against what it is to reach.
type check struct {
	Target, Figure string
	Met            bool
}

func rows() []row {
	return []row{
		{"cold-zstd", "pull to bootable, cold, zstd layers", "`zstd -dc blob | zstd -3 -T2`, the limit", 7, coldLimit("zstd", 1.5)},
		{"ready-made", "the same, layers ready-made in the registry", "`zstd -dc blob | zstd -3 -T2`, the limit", 7, readyMade},
		{"update-blocks", "an update by blocks, layers ready-made in the registry", "the changed files alone, packed alike", 1, updateReadyMade("blocks", false, 1.05)},
		{"update-patch", "the same by a patch", "the changed files alone, packed alike", 1, updateReadyMade("patch", true, 0.65)},
		{"update-chunked", "an update of a zstd:chunked layer", "the changed files alone, `tar | zstd -3`", 1, updateChunked},
		{"update-chunked-near", "the same, from this computer", "the whole layer", 3, updateChunkedNear},
		{"cold-gzip", "the same, gzip layers", "`gzip -dc blob | zstd -3 -T2`", 7, coldLimit("gzip", 1.3)},
		{"cold-darch", "the same, gzip layers", "Darch's way: skopeo, umoci, mksquashfs", 3, coldDarch},
		{"layer-darch", "a changed 100 KB top layer", "Darch's way", 3, layerDarch},
		{"layer-ostree", "a changed 100 KB top layer", "`ostree pull-local` and `checkout` of it", 11, layerOSTree},
		{"hook-darch", "a changed hook, commit to menu", "Darch's way", 3, hookDarch},
		{"idle", "nothing changed, local repo", "`git ls-remote` of that repo", 21, idle},
		{"clone-files", "first fetch of a local config repo of 200 MB", "`git clone --bare`, by git's protocol", 3, clone(largeFiles, false)},
		{"clone-commits", "the same, of 20,000 commits", "`git clone --bare`, by git's protocol", 5, clone(manyCommits, false)},
		{"clone-files-https", "the same over https, of 200 MB", "`git clone --bare`", 5, clone(packedFiles, true)},
		{"clone-commits-https", "the same over https, of 20,000 commits", "`git clone --bare`", 5, clone(manyCommits, true)},
		{"clone-served", "`git clone --bare` of 20,000 commits from `gitboot serve`", "from git's own server", 5, cloneServed((*cloning).byGit)},
		{"clone-served-gitboot", "a first fetch of them from `gitboot serve`", "`git clone --bare` from git's own server", 5, cloneServed((*cloning).byGitboot)},
		{"generations", "disk of ten generations, each with a new 100 KB layer", "disk of one", 1, generations},
		{"history-idle", "nothing changed, 181 generations of 481 layers", "one generation of them", 11, historyIdle},
		{"history-new", "a changed hook, 181 generations of 481 layers", "one generation of them", 11, historyNew},
		{"initramfs-tools", "initramfs for Debian's generic kernel", "initramfs-tools, MODULES=most, zstd", 3, initramfsAgainst(initramfsTools)},
		{"initramfs-dracut", "initramfs for Debian's generic kernel", "dracut --no-hostonly --zstd", 3, initramfsAgainst(dracut)},
		{"boot-dracut", "from `Run /init` to the image's init in QEMU, virtio disk", "dracut's dmsquash-live, same squashfs", 5, bootDracut},
		{"verity", "from `Run /init` to the image's init in QEMU, layers verified; then its programs and libraries read", "the same, not verified", 3, verity},
		{"watcher", "from `Run /init` to the image's init in QEMU, on trial", "the same, known to be good", 5, watched},
		{"stage-verify", "`stage verify`", "`sha256sum` of its objects", 7, stageVerify},
		{"login", "from power-on to the login in QEMU, an installed disk, by UEFI and systemd-boot", "the same by GRUB", 5, login},
		{"boot-test", "a boot test of a staged image, in QEMU", "that boot alone, until it is judged", 3, bootTest},
		{"disk-image", "`disk image` of a staged machine of 350 MB, without root", "`cp --sparse=always` of the result, and `sync`", 7, diskImage},
		{"init-size", "gitboot-init", "its limit", 1, initSize},
		{"memory", "peak memory of a pull, 2 GB", "a pull of 350 MB", 3, memory},
		{"memory-generic", "peak memory of a pull with Debian's kernel for real hardware, 660 MB", "the limit", 3, memoryGeneric},
		{"build-nothing", "`image build`, nothing changed", "`buildah build` of the same, every step cached", 11, buildNothing},
		{"build-line", "a changed line of a built image, commit to bootable", "`buildah build` of the same, the engine alone", 7, buildLine},
		{"build-stage", "a built base, engine to stage", "`buildah push` and `zstd -3 -T2` of it", 5, buildStage},
		{"fleet-validate", "`validate`, 10,000 machines, 200 images", "1,000 machines", 5, fleetValidate},
		{"fleet-plan", "`plan` of a new revision, one machine of 10,000", "one of 1,000", 7, fleetPlan},
		{"fleet-idle", "nothing changed, one machine of 10,000", "one of 1,000", 11, fleetIdle},
		{"agent-commit", "agent: commit of a hook on a local repo to the renamed menu", "its limit", 20, agentCommit(following{settings: "poll = \"1h\"\n", median: 200 * time.Millisecond, worst: time.Second})},
		{"agent-building", "the same while an image is built for two hours", "its limit", 20, agentCommit(following{settings: "poll = \"1h\"\n", building: true, median: 200 * time.Millisecond, worst: time.Second})},
		{"agent-https", "the same over https, polled each second", "its limit", 20, agentCommit(following{https: true, settings: "poll = \"1s\"\n", worst: 2 * time.Second})},
		{"agent-webhook", "the same over https, told by a webhook", "its limit", 20, agentCommit(following{https: true, hook: true, settings: "poll = \"1h\"\n", worst: 500 * time.Millisecond})},
		{"agent-idle", "agent with nothing to do, a config of 100 machines", "its limit", 1, agentIdle(100, 25e6)},
		{"agents", "a thousand agents of one git server and one registry", "their limits", 1, agents},
		{"agent-idle-fleet", "the same, of 10,000 machines", "its limit", 1, agentIdle(10_000, 60e6)},
	}
}

// atMost checks that ours takes no more than limit times theirs.
func atMost(ratio, limit float64) check {
	return check{
		Target: fmt.Sprintf("at most %g times", limit),
		Figure: number(ratio) + " times",
		Met:    ratio <= limit,
	}
}

// fasterBy checks that ours is at least limit times faster, where ratio is
// ours by theirs.
func fasterBy(ratio, limit float64) check {
	c := check{Target: fmt.Sprintf("at least %g times faster", limit), Met: 1/ratio >= limit}
	if limit == 1 {
		c.Target = "no slower"
	}
	c.Figure = number(1/ratio) + " times faster"
	if ratio > 1 {
		c.Figure = number(ratio) + " times slower"
	}
	return c
}

// number gives three digits, or all before the point.
func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// timed is the usual row: two commands, run in turn, whose times are compared.
func timed(ctx context.Context, r row, ours, theirs side, judge func(ratio float64) check) (result, error) {
	pairs, err := runPairs(ctx, r.pairs, ours, theirs)
	if err != nil {
		return result{}, err
	}
	return result{
		Ours: describe(pairs, pair.ours), Theirs: describe(pairs, pair.theirs),
		Checks:   []check{judge(medianRatio(pairs))},
		Commands: []string{ours.command, theirs.command},
		Pairs:    pairs,
	}, nil
}

// describe gives the median wall time and processor time of one side.
func describe(pairs []pair, of func(pair) usage) string {
	var wall, cpu []float64
	for _, p := range pairs {
		wall = append(wall, of(p).Wall.Seconds())
		cpu = append(cpu, of(p).CPU.Seconds())
	}
	return fmt.Sprintf("%s, %s of processor", seconds(median(wall)), seconds(median(cpu)))
}

func seconds(s float64) string {
	if s < 0.1 {
		return fmt.Sprintf("%.1f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// wallOnly makes a usage of a time that no process's rusage tells.
func wallOnly(d time.Duration) usage { return usage{Wall: d} }
