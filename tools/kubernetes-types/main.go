// Writes how Kubernetes' built-in types look in JSON, in protobuf and to patches: the file crates/workload/src/api/types.txt.
//
// `cargo xtask generate` runs it.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// The groups that are served, in the versions that are.
var groups = []string{
	"/v1", "admissionregistration.k8s.io/v1", "apps/v1", "authentication.k8s.io/v1", "authorization.k8s.io/v1", "autoscaling/v2",
	"batch/v1", "certificates.k8s.io/v1", "coordination.k8s.io/v1", "discovery.k8s.io/v1", "events.k8s.io/v1", "networking.k8s.io/v1",
	"node.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1", "scheduling.k8s.io/v1", "storage.k8s.io/v1",
}

// Types whose JSON is not the struct's.
var special = map[string]string{
	"meta/v1.Time": "time", "meta/v1.MicroTime": "microtime", "meta/v1.FieldsV1": "raw",
	"resource.Quantity": "quantity", "intstr.IntOrString": "intorstring", "runtime.RawExtension": "raw",
}

type printer struct {
	out  *bufio.Writer
	done map[string]bool
	todo []reflect.Type
}

func main() {
	p := printer{out: bufio.NewWriter(os.Stdout), done: map[string]bool{}}
	fmt.Fprintln(p.out, "# Kubernetes' built-in types. Made by tools/kubernetes-types from k8s.io/api v0.36.3 (Apache License 2.0); not to be edited.")
	fmt.Fprintln(p.out, "# KIND <apiVersion> <kind> <type>; TYPE <type>; then its fields: <JSON name> <protobuf number> <shape> [flags]")
	fmt.Fprintln(p.out, "# Shapes: [] list, {} map. Flags: * zero is written too, ~ inlined in JSON, @<key> merged by this key, ! merged as a set.")
	for gvk, t := range scheme.Scheme.AllKnownTypes() {
		gv := gvk.Group + "/" + gvk.Version
		if !slices.Contains(groups, gv) || strings.HasSuffix(gvk.Kind, "List") || strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery") {
			continue
		}
		p.todo = append(p.todo, t)
	}
	p.todo = append(p.todo, reflect.TypeFor[metav1.DeleteOptions]())
	slices.SortFunc(p.todo, func(a, b reflect.Type) int { return strings.Compare(name(a), name(b)) })
	for _, t := range p.todo {
		fmt.Fprintf(p.out, "KIND %s %s %s\n", strings.TrimPrefix(version(t), "/"), t.Name(), name(t))
	}
	for len(p.todo) > 0 {
		t := p.todo[0]
		p.todo = p.todo[1:]
		p.print(t)
	}
	if err := p.out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// version is the apiVersion of a type; options go with every version, and are listed under none.
func version(t reflect.Type) string {
	if strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery") {
		return "meta"
	}
	for gvk, known := range scheme.Scheme.AllKnownTypes() {
		if known == t && slices.Contains(groups, gvk.Group+"/"+gvk.Version) {
			return gvk.GroupVersion().String()
		}
	}
	log.Fatalf("%v has no version", t)
	return ""
}

// name is unique, and short.
func name(t reflect.Type) string {
	path := strings.TrimPrefix(strings.TrimPrefix(t.PkgPath(), "k8s.io/api/"), "k8s.io/apimachinery/pkg/")
	path = strings.TrimPrefix(path, "apis/")
	for _, long := range []string{"api/", "util/"} {
		path = strings.TrimPrefix(path, long)
	}
	return path + "." + t.Name()
}

func (p *printer) print(t reflect.Type) {
	if p.done[name(t)] {
		return
	}
	p.done[name(t)] = true
	fmt.Fprintf(p.out, "TYPE %s\n", name(t))
	for i := range t.NumField() {
		field := t.Field(i)
		tag := strings.Split(field.Tag.Get("protobuf"), ",")
		if len(tag) < 2 {
			continue
		}
		json := strings.Split(field.Tag.Get("json"), ",")
		flags := []string{}
		if field.Type.Kind() == reflect.Pointer || !slices.Contains(json, "omitempty") {
			flags = append(flags, "*")
		}
		if slices.Contains(json, "inline") {
			flags = []string{"~"}
		}
		key, strategy := field.Tag.Get("patchMergeKey"), field.Tag.Get("patchStrategy")
		if strings.Contains(strategy, "merge") && key != "" {
			flags = append(flags, "@"+key)
		} else if strings.Contains(strategy, "merge") {
			flags = append(flags, "!")
		}
		label := json[0]
		if label == "" {
			label = "-"
		}
		fmt.Fprintln(p.out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", label, tag[1], p.shape(field.Type), strings.Join(flags, " "))))
	}
}

func (p *printer) shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return p.shape(t.Elem())
	case reflect.Struct:
		if shape, ok := special[name(t)]; ok {
			return shape
		}
		p.todo = append(p.todo, t)
		return name(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		if t.Name() == "ExtraValue" {
			return "items"
		}
		return "[]" + p.shape(t.Elem())
	case reflect.Map:
		return "{}" + p.shape(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int32, reflect.Int64, reflect.Int, reflect.Uint32:
		return "int"
	}
	log.Fatalf("%v has no shape", t)
	return ""
}
