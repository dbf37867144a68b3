// Package hooks renders what makes an image this machine's: a handful of
// declared files, the output of scripts and a few built-ins become one small
// layer that lies above the layers of the image.
//
// # What a hook does
//
// A hook's parts are rendered in this order: what it removes, its built-in, its
// folders, its files and links, its run scripts, its at-boot scripts. Hooks are
// rendered in the order given.
//
//   - What is removed is hidden by a whiteout, as in any layer; what an earlier
//     hook put there is gone.
//   - Folders have a mode and a numeric owner, or those of the image.
//   - Files have a path, content or the target of a symbolic link, a mode
//     (0644 if it is zero) and a numeric owner (root). To declare one path
//     twice in one hook is an error.
//   - Run scripts are executed now, on the machine that renders, and what they
//     write below $GITBOOT_OUT becomes part of the layer.
//   - At-boot scripts are put into the layer as
//     /usr/lib/gitboot/at-boot/NN-hook-name. Process 1 runs them in the new
//     root before the image's init, in the order of Output.AtBoot.
//   - Built-ins are declared in package kind and rendered by package builtin.
//
// When two hooks write the same path, the later one wins and the log says so;
// a default in an early hook is thus replaced by a special case in a later
// one. What cannot be meant is an error that names both: a file where another
// hook needs a directory.
//
// # Run scripts
//
// A script is executed directly: it begins with #! or is a program. It runs
// in an empty temporary directory that is removed afterwards, with umask 022,
// nothing on standard input and exactly this environment:
//
//	PATH              /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
//	HOME, TMPDIR      the temporary directory
//	LANG              C.UTF-8
//	SOURCE_DATE_EPOCH 0
//	GITBOOT_OUT       the tree that is collected; all scripts of one hook share it
//	GITBOOT_MACHINE   the machine's name
//	GITBOOT_IMAGE     the image's name
//	GITBOOT_TAG       the image's tag
//	GITBOOT_HOOK      the hook's name
//	GITBOOT_STATE     a directory of this hook's own that is kept on the stage,
//	                  for what is generated once; not set without StateDir
//
// and what the script declares itself, which may not begin with GITBOOT_. Its
// output goes to the log line by line; its last lines are in the error if it
// fails. At its timeout (DefaultTimeout if it has none) or when the context
// ends, it is killed together with everything it started. Whatever it leaves
// running when it ends is killed too.
//
// Of $GITBOOT_OUT, directories, regular files (hard links as copies),
// symbolic links and named pipes are collected with their modes, files'
// capabilities and user.* attributes. Symbolic links are never followed.
// Devices and sockets are refused. What root's script gives to another owner
// keeps it; all else is root's.
//
// Run by root, a script sees the file system read-only but for its temporary
// directory, $GITBOOT_OUT and $GITBOOT_STATE, in mount, process, IPC and (unless
// it declares network) network namespaces of its own: /proc shows its own
// processes; of /dev and /run there is no more than devices that keep nothing and
// what tells of disks and of resolvers; sockets at which the system's services
// listened when it began are hidden. It has the capabilities to make files of
// all owners and modes and no others, can gain no privileges, and is denied
// keyrings. It can read what root can. Run by another user, a script can do what
// that user can; so can root's where the kernel (before 5.12) or a container
// denies the namespaces, and a warning says so.
//
// # Directories of the image
//
// A directory in the hook layer hides the mode and owner that the image gave
// it. So the layer repeats what Input.Root has of the image's own
// directories, and follows the image's symbolic links on the way: a file
// below /lib lands below /usr/lib where the image has /lib -> usr/lib.
// Without Root a table knows the usual directories that are not 0755
// (/tmp, /root, …), and paths below /bin, /lib and like are refused, because
// a directory there would hide the link and break the machine. A directory
// that a script makes with 0755 and root as its owner is taken to mean "as
// the image has it"; any other mode or owner is taken as said.
//
// # Not here
//
// Choosing hooks by image globs and expanding templates is done before;
// nothing here reads the config repo or mounts an image.
package hooks
