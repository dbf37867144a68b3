package tarfs

import (
	"slices"
	"strings"
)

func layers() []layer {
	return slices.Concat(plainLayers(), markerLayers(), brokenLayers(), linkLayers(), lackingLayers(), refusedLayers())
}

func plainLayers() []layer {
	return []layer{
		{name: "empty", want: []string{"d* ."}},
		{name: "a root, a parent and a file", in: []string{"d ./", "d ./a/", "f ./a/b=1"},
			want: []string{"f a/b=1", "d .", "d a"}},
		{name: "no parents", in: []string{"f a/b/c=1"}, want: []string{"f a/b/c=1", "d* .", "d* a", "d* a/b"}},
		{name: "a directory after what is in it", in: []string{"f a/b=1", "d a", "d ."},
			want: []string{"f a/b=1", "d .", "d a"}},
		{name: "names that need cleaning", in: []string{"d /a//", "f ./a/././b=1", "f //c=2"},
			want: []string{"f a/b=1", "f c=2", "d* .", "d a"}},
		{name: "no content waits", in: []string{"f b=", "p a", "l c>/etc/../../x", "f d=1"},
			want: []string{"f d=1", "d* .", "p a", "f b=", "l c>/etc/../../x"}},
		{name: "names of 255 bytes and paths of 4,000", in: []string{"f " + long(4000) + "=1"},
			want: append([]string{"f " + long(4000) + "=1", "d* ."}, parents(long(4000))...)},
		{name: "attributes", in: []string{"f a=1!user.x=y", "d b!security.capability=\x01\x00\x02", "f c=1!system.posix_acl_access=z"},
			want: []string{"f a=1!user.x=y", "f c=1", "d* .", "d b!security.capability=\x01\x00\x02"}},
		{name: "names like markers", in: []string{"f a.wh.b=1", "f .wh=1"}, want: []string{"f a.wh.b=1", "f .wh=1", "d* ."}},
	}
}

func markerLayers() []layer {
	return []layer{
		{name: "a whiteout", in: []string{"d a", "f a/.wh.b="}, want: []string{"d* .", "d a", "c a/b"}},
		{name: "a whiteout before and after its file", in: []string{"f .wh.a=", "f a=1", "f b=1", "f .wh.b="},
			want: []string{"f a=1", "f b=1", "d* ."}},
		{name: "a whiteout beside a directory hides what that had below", in: []string{"f a/b=1", "f .wh.a=", "d a"},
			want: []string{"f a/b=1", "d* .", "D a"}},
		{name: "an opaque directory", in: []string{"d a", "f a/.wh..wh..opq="}, want: []string{"d* .", "D a"}},
		{name: "the mark first", in: []string{"f a/.wh..wh..opq=", "f a/b=1", "d a"}, want: []string{"f a/b=1", "d* .", "D a"}},
		{name: "the mark alone", in: []string{"f a/.wh..wh..opq="}, want: []string{"d* .", "D* a"}},
		{name: "overlayfs's own forms", in: []string{"c a", "h b>a", "d c!trusted.overlay.opaque=y", "d d!trusted.overlay.redirect=/etc", "f e=1!trusted.overlay.metacopy="},
			want: []string{"f e=1", "d* .", "c a", "c b", "D c", "d d"}},
		{name: "overlayfs's mark on the root is dropped", in: []string{"d .!trusted.overlay.opaque=y"}, want: []string{"d ."}},
		{name: "what aufs keeps", in: []string{"d .wh..wh.plnk", "f .wh..wh.plnk/1.2=x", "f .wh..wh.aufs="}, want: []string{"d* ."}},
	}
}

func brokenLayers() []layer {
	return []layer{
		{name: "the last file wins", in: []string{"f a=1", "f b=2", "f a=3"}, want: []string{"f b=2", "f a=3", "d* ."}},
		{name: "the last directory wins and keeps its content", in: []string{"d a!user.x=1", "f a/b=1", "d a!user.y=2"},
			want: []string{"f a/b=1", "d* .", "d a!user.x=1!user.y=2"}},
		{name: "a file becomes a directory", in: []string{"f a=1", "d a", "f a/b=2"}, want: []string{"f a/b=2", "d* .", "D a"}},
		{name: "an empty file becomes a directory", in: []string{"f a=", "d a"}, want: []string{"d* .", "D a"}},
		{name: "a directory becomes a file", in: []string{"d a", "f a/b=1", "f a/c=2", "f a=3"}, want: []string{"f a=3", "d* ."}},
		{name: "a link becomes a file", in: []string{"l a>b", "f a=1"}, want: []string{"f a=1", "d* ."}},
		{name: "a file becomes a link", in: []string{"f a=1", "l a>b"}, want: []string{"d* .", "l a>b"}},
		{name: "a parent that is a link", in: []string{"d usr", "l lib>usr/lib", "f lib/a=1", "d usr/lib"},
			want: []string{"f usr/lib/a=1", "d* .", "l lib>usr/lib", "d usr", "d usr/lib"}},
		{name: "a parent that is a link out", in: []string{"l a>../../../etc", "f a/b=1"}, want: []string{"f etc/b=1", "d* .", "l a>../../../etc", "d* etc"}},
		{name: "an absolute parent link", in: []string{"d x", "l x/a>/etc", "f x/a/b=1"}, want: []string{"f etc/b=1", "d* .", "d* etc", "d x", "l x/a>/etc"}},
	}
}

func linkLayers() []layer {
	return []layer{
		{name: "a link after its target", in: []string{"f a=1", "h b>a", "h c>b"}, want: []string{"f a=1", "d* .", "h b>a", "h c>a"}},
		{name: "a link before its target", in: []string{"h b>a", "f a=1"}, want: []string{"f a=1", "d* .", "h b>a"}},
		{name: "links before their target in a chain", in: []string{"h a>b", "h b>c", "f c=1"}, want: []string{"f c=1", "d* .", "h a>c", "h b>c"}},
		{name: "a link whose target is replaced", in: []string{"f a=1", "h b>a", "f a=2"}, want: []string{"f b=1", "f a=2", "d* ."}},
		{name: "a link whose target is removed", in: []string{"f d/a=1", "h b>d/a", "h c>b", "f d=2"}, want: []string{"f b=1", "f d=2", "d* .", "h c>b"}},
		{name: "a waiting link that is replaced", in: []string{"h a>z", "h b>a", "f a=1", "f z=2"}, want: []string{"f a=1", "f z=2", "d* .", "h b>z"}},
		{name: "links to links and fifos", in: []string{"l a>x", "h b>a", "p c", "h d>c", "f e=", "h f>e"},
			want: []string{"d* .", "l a>x", "h b>a", "p c", "h d>c", "f e=", "h f>e"}},
		{name: "a link to itself", in: []string{"f a=1", "h a>a"}, want: []string{"f a=1", "d* ."}},
		{name: "a link through a link", in: []string{"l d>e", "f e/a=1", "h b>d/a"}, want: []string{"f e/a=1", "d* .", "h b>e/a", "l d>e", "d* e"}},
	}
}

func lackingLayers() []layer {
	return []layer{
		{name: "folders as below", in: []string{"f tmp/a=1", "f var/tmp/b=2", "d home", "f home/ada/c=3"},
			below: []string{"d tmp!user.x=y", "d var", "d home/ada", "d home!user.not=used"},
			want:  []string{"f tmp/a=1", "f var/tmp/b=2", "f home/ada/c=3", "d* .", "d home", "d home/ada", "d tmp!user.x=y", "d var", "d* var/tmp"}},
		{name: "overlayfs's marks of a folder below stay there", in: []string{"f a/b=1"}, below: []string{"d a!trusted.overlay.opaque=y"},
			want: []string{"f a/b=1", "d* .", "d a"}},
		{name: "an emptied folder keeps its mode", in: []string{"f a/.wh..wh..opq=", "f a/b/c=1"}, below: []string{"d a", "d a/b"},
			want: []string{"f a/b/c=1", "d* .", "D a", "d* a/b"}},
		{name: "a folder that was taken away is new", in: []string{"f .wh.a=", "f a/b/c=1"}, below: []string{"d a", "d a/b"},
			want: []string{"f a/b/c=1", "d* .", "D* a", "d* a/b"}},
		{name: "a link to a file below", in: []string{"h a>b", "h c>b", "h d>c"}, below: []string{"f b=content!user.x=y"},
			want: []string{"d* .", "f a=content!user.x=y", "h c>a", "h d>a"}},
		{name: "a link to a link below", in: []string{"h a>b/c"}, below: []string{"l b/c>d"}, want: []string{"d* .", "l a>d"}},
		{name: "a link through the layer's link to a file below", in: []string{"l lib>usr/lib", "h a>lib/b"}, below: []string{"f usr/lib/b="},
			want: []string{"d* .", "f a=", "l lib>usr/lib"}},
		{name: "a folder where there is a link below", in: []string{"f lib/a=1", "f lib/.wh.b=", "d lib/c", "f lib/d/e=2"},
			below: []string{"m lib>usr/lib", "d usr", "d usr/lib!user.x=y", "d lib/d"},
			want:  []string{"f usr/lib/a=1", "f usr/lib/d/e=2", "d* .", "d usr", "d usr/lib!user.x=y", "c usr/lib/b", "d usr/lib/c", "d usr/lib/d"}},
		{name: "and the layer has where it leads", in: []string{"f usr/lib/x=1", "f lib/d/a=2", "f usr/lib/d/b=3"}, below: []string{"m lib>usr/lib"},
			want: []string{"f usr/lib/x=1", "f usr/lib/d/a=2", "f usr/lib/d/b=3", "d* .", "d* usr", "d* usr/lib", "d* usr/lib/d"}},
		{name: "one file by two names", in: []string{"f usr/lib/x=1", "f lib/x=2"}, below: []string{"m lib>usr/lib"}, fails: `"lib/x" and "usr/lib/x" are one file`},
		{name: "a root that hides all", in: []string{"f .wh..wh..opq=", "f a=1"}, want: []string{"f a=1", "d* ."}},
	}
}

func refusedLayers() []layer {
	return []layer{
		{name: "a way out", in: []string{"f ../a=1"}, fails: `entry "../a": the name contains ".."`},
		{name: "a way out in the middle", in: []string{"f a/../b=1"}, fails: `entry "a/../b"`},
		{name: "a link out", in: []string{"h a>../b"}, fails: `entry "a": hard link to "../b"`},
		{name: "a link to a lower layer", in: []string{"h a>usr/bin/b"}, fails: `hard link to "usr/bin/b": no such name in this layer, and none below`},
		{name: "a link to a directory", in: []string{"d a", "h b>a"}, fails: `entry "b": hard link to the directory "a"`},
		{name: "a link to what is only hidden", in: []string{"f .wh.a=", "h b>a"}, fails: "no such name in this layer"},
		{name: "a link to a folder below", in: []string{"h a>b"}, below: []string{"d b"}, fails: "not what the layer needs"},
		{name: "a link to what an emptied folder had", in: []string{"f d/.wh..wh..opq=", "h a>d/b"}, below: []string{"f d/b=1"}, fails: "hides what is below"},
		{name: "links in a circle", in: []string{"h a>b", "h b>a"}, fails: "circle"},
		{name: "a link to itself alone", in: []string{"h a>a"}, fails: "circle"},
		{name: "a file as parent", in: []string{"f a=1", "f a/b=1"}, fails: `entry "a/b": its parent "a" is not a directory`},
		{name: "symbolic links in a circle", in: []string{"l a>b", "l b>a", "f a/c=1"}, fails: "too many symbolic links"},
		{name: "a file as root", in: []string{"f .=1"}, fails: "the root of a layer must be a directory"},
		{name: "a whiteout of the directory above", in: []string{"f a/.wh...="}, fails: "a whiteout of no name"},
		{name: "a whiteout of nothing", in: []string{"f .wh.="}, fails: "a whiteout of no name"},
		{name: "below a whiteout", in: []string{"f .wh.a/b=1"}, fails: "below a whiteout"},
		{name: "a mark in a file", in: []string{"f a=1", "f a/.wh..wh..opq="}, fails: "an opaque marker in what is not a directory"},
		{name: "a long name", in: []string{"f " + strings.Repeat("x", 256) + "=1"}, fails: "longer than 255 bytes"},
		{name: "a long path", in: []string{"f " + long(4096) + "=1"}, fails: "4096 bytes"},
	}
}

// long returns a name of n bytes whose parts are as long as they may be.
func long(n int) string {
	s := strings.Repeat(strings.Repeat("x", 255)+"/", n/256+1)[:n]
	if s[n-1] == '/' {
		s = s[:n-1] + "y"
	}
	return s
}

func parents(name string) (items []string) {
	for i, c := range name {
		if c == '/' {
			items = append(items, "d* "+name[:i])
		}
	}
	return items
}
