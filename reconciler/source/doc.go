// Package source reads a config repo: it finds out which commit is followed, be
// it by a branch or by a tag, fetches that with its history into a bare clone,
// checks it, and hands out its files as an fs.FS.
//
// # Use
//
//	src, err := source.Open(ctx, source.Options{URL: url, Ref: "main", Dir: stage + "/repo"})
//	hash, err := src.Remote(ctx)         // cheap: nothing is fetched or written
//	rev, err := src.Fetch(ctx, applied)  // fetched, checked against applied and the trusted keys
//	files, err := src.Files(rev.Hash, "")
//
// First does the same with several remotes of one repo, one after the other.
//
// applied is the last revision that the caller acted upon. The caller keeps
// it outside the clone, so that a clone that had to be made anew still cannot
// bring in another history unnoticed.
//
// # Repos
//
//   - a path or file:// URL: read in process, with no git program; a repo that
//     another user owns only if it was named as safe. Nothing in it is executed,
//     and only regular files of bounded size are opened
//   - https://: a token file, if the repo is private, and a CA file, if the
//     server's certificate is not signed by a CA the system trusts
//   - ssh:// and user@host:path: a key file and a known_hosts file, both
//     required, so that nothing depends on who runs gitboot
//
// An address means what it means to git: user@host:2299:x is a path on host,
// and ssh://host/~/x is below the user's home there. A server is given up when
// it says nothing for Options.Timeout, however long the whole takes.
//
// Git's environment variables (GIT_DIR, GIT_SSH_COMMAND, …), its configuration
// files, ~/.ssh and an SSH agent are not consulted. HTTPS_PROXY is, for https,
// unless Options.Proxy names another, which is for ssh, too.
//
// # The clone
//
// Dir is a bare repo that git itself can read (git -C DIR log). It holds packs
// only. Each is received in quarantine, by a process of its own, and renamed
// into place when its tip is admitted, before HEAD, detached at that tip, is
// replaced; what is refused leaves nothing. There are no branches, refs of tags or
// work tree; the file tags says by which tags commits were followed, the
// folder tagged what those and approving tags say, for who follows the clone, and the
// folder modules holds submodules' clones. Open removes what a cut left behind
// and, where the tip cannot be read, moves the clone aside to DIR.broken, so that
// Fetch makes it anew.
//
// # What is refused
//
// A history that was rewritten or is older than what is known, until the new tip
// is accepted by name, but for a higher version where versions are followed; a
// commit in another form than git's own; where trusted keys are given, one that
// none of them has signed, or whose tag; symlinks that leave the repo; files whose
// content is elsewhere (submodules, unless they are asked for; Git LFS). Repos
// with SHA-256 objects are not supported, nor local ones that keep their refs in a
// reftable.
package source
