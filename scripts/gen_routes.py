#!/usr/bin/env python3
"""Generate the gateway's route table from the .proto files.

    gen_routes.py PROTO_ROOT OUT.c

Reads every rpc with an option (plexspaces.api.v1.http) under PROTO_ROOT and
writes a C source that defines gate_routes[] of services/gateway/route.h. The
protos are written in the plain style of this repository: one service block,
one option per rpc, no imports of other services' messages as rpc types.
"""
import pathlib
import re
import sys

FIELD = re.compile(r'(\w+)\s*:\s*"([^"]*)"')
VERBS = ("get", "post", "put", "delete")
BY_MESSAGE = ("actor", "run", "message")  # served_by: no method of a link


def snake(name):
    """CamelCase as protoc-c writes it in C identifiers."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def fail(path, text):
    sys.exit(f"{path}: {text}")


def strip_comments(text):
    """Without // comments; the protos use no others. Strings are kept."""
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*',
                  lambda m: m.group(1) or "", text)


def braces(text, start):
    """The text of the {...} block that opens at or after `start`."""
    depth, begin, quoted = 0, None, False
    for i in range(start, len(text)):
        if text[i] == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif text[i] == "{":
            if depth == 0:
                begin = i + 1
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return text[begin:i]
    return ""


def rule_of(block):
    """(fields) of the http option of one rpc's block, or None."""
    at = block.find("(plexspaces.api.v1.http)")
    return None if at < 0 else dict(FIELD.findall(braces(block, at)))


def literal(text):
    return "NULL" if text is None else f'"{text}"'


def number_of(path, text, enum, name, rule, prefix):
    """The method's number on links; what actors serve has none."""
    if rule["served_by"] in BY_MESSAGE:
        wanted = ["action"] + ["actor", "key"] * (rule["served_by"] == "actor")
        missing = [field for field in wanted if field not in rule]
        if missing:
            fail(path, f"rpc {name}: {missing[0]} is needed")
        return "0"
    if not enum:
        fail(path, f"rpc {name}: no <Area>Method enum")
    area = snake(enum.group(1)).upper()
    number = f"{area}_{snake(name).upper()}"
    if not re.search(rf"\b{number}\s*=", text):
        fail(path, f"rpc {name}: {number} is not in {enum.group(1)}")
    return f"{prefix.upper()}__{area}__{number}"


def routes_of(path):
    text = strip_comments(path.read_text())
    package = re.search(r"^\s*package\s+([\w.]+)\s*;", text, re.M)
    if not package:
        fail(path, "no package")
    prefix = package.group(1).replace(".", "__")
    enum = re.search(r"enum\s+(\w+Method)\s*\{", text)
    for service in re.finditer(r"\bservice\s+(\w+)\s*\{", text):
        body = braces(text, service.start())
        for rpc in re.finditer(
                r"\brpc\s+(\w+)\s*\(\s*(\w+)\s*\)\s*returns\s*"
                r"\(\s*(\w+)\s*\)", body):
            name, request, response = rpc.groups()
            rule = rule_of(braces(body, rpc.end()))
            if rule is None:
                continue
            verbs = [v for v in VERBS if v in rule]
            if len(verbs) != 1 or "served_by" not in rule:
                fail(path, f"rpc {name}: one verb and served_by are needed")
            if rule.get("body", "") not in ("", "*"):
                fail(path, f"rpc {name}: body may be \"*\" or absent")
            yield {
                "verb": verbs[0].upper(),
                "path": rule[verbs[0]],
                "rpc": f"{service.group(1)}.{name}",
                "served_by": rule["served_by"],
                "number": number_of(path, text, enum, name, rule, prefix),
                "body": "true" if rule.get("body") == "*" else "false",
                "request": f"{prefix}__{snake(request)}__descriptor",
                "response": f"{prefix}__{snake(response)}__descriptor",
                **{field: literal(rule.get(field))
                   for field in ("actor", "key", "action", "new_id")},
            }


def main():
    root, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    includes, rows = [], []
    for path in sorted(root.rglob("*.proto")):
        found = list(routes_of(path)) if "service " in path.read_text() else []
        if found:
            includes.append(path.relative_to(root).with_suffix(".pb-c.h"))
            rows += found
    rows.sort(key=lambda r: (r["path"], r["verb"]))
    seen = set()
    for r in rows:
        key = (r["verb"], re.sub(r"\{\w+\}", "{}", r["path"]))
        if key in seen:
            sys.exit(f"{r['rpc']}: {r['verb']} {r['path']} is taken")
        seen.add(key)
    lines = ["/* Made by scripts/gen_routes.py from proto/public. */",
             '#include "services/gateway/route.h"', ""]
    lines += [f'#include "{path}"' for path in includes]
    lines += ["", "const struct gate_route gate_routes[] = {"]
    for r in rows:
        lines.append(
            f'    {{"{r["verb"]}", "{r["path"]}", "{r["rpc"]}",\n'
            f'     "{r["served_by"]}", {r["number"]}, {r["body"]},\n'
            f'     &{r["request"]},\n     &{r["response"]},\n'
            f'     {r["actor"]}, {r["key"]}, {r["action"]}, {r["new_id"]}}},')
    lines += ["    {0},", "};", ""]
    out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
