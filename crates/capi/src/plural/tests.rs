use super::*;

/// Words and the answers of flect v1.0.3 itself.
const FLECT: &[(&str, &str)] = &[
    ("microvmmachine", "microvmmachines"),
    ("microvmcluster", "microvmclusters"),
    ("evrocmachinetemplate", "evrocmachinetemplates"),
    ("metal3cluster", "metal3clusters"),
    ("metal3dataclaim", "metal3dataclaims"),
    ("clusterclass", "clusterclasses"),
    ("ipaddress", "ipaddresses"),
    ("ippool", "ippools"),
    ("foomachinepool", "foomachinepools"),
    ("hostclaim", "hostclaims"),
    ("proxy", "proxies"),
    ("gateway", "gateways"),
    ("fooproxyindex", "fooproxyindices"),
    ("baremetalswitch", "baremetalswitches"),
    ("box", "boxes"),
    ("foomatrix", "foomatrices"),
    ("helix", "helices"),
    ("bus", "buses"),
    ("status", "statuses"),
    ("series", "series"),
    ("fish", "fish"),
    ("foofish", "foofish"),
    ("person", "people"),
    ("fooperson", "foopeople"),
    ("human", "humans"),
    ("barhuman", "barhumans"),
    ("die", "dice"),
    ("foodie", "foodies"),
    ("axis", "axes"),
    ("fooaxis", "fooaxis"),
    ("alias", "aliases"),
    ("fooalias", "fooalias"),
    ("analysis", "analyses"),
    ("basis", "bases"),
    ("crisis", "crises"),
    ("foobase", "foobases"),
    ("datum", "data"),
    ("media", "media"),
    ("stadium", "stadiums"),
    ("quorum", "quorums"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("shelf", "shelves"),
    ("roof", "roofs"),
    ("key", "keys"),
    ("fooalloy", "fooalloys"),
    ("toe", "toes"),
    ("shoe", "shoes"),
    ("hero", "heroes"),
    ("fooradio", "fooradios"),
    ("foovideo", "foovideoes"),
    ("quiz", "quizzes"),
    ("fez", "fezzes"),
    ("topaz", "topazes"),
    ("class", "classes"),
    ("flash", "flashes"),
    ("hosts", "hosts"),
    ("data", "data"),
    ("news", "news"),
    ("foonews", "foonews"),
    ("use", "uses"),
    ("reuse", "reuses"),
    ("misuse", "misuses"),
    ("child", "children"),
    ("grandchild", "grandchildren"),
    ("mouse", "mice"),
    ("louse", "lice"),
    ("foolouse", "foolouses"),
    ("octopus", "octupuses"),
    ("agenda", "agendas"),
    ("criterion", "criteria"),
    ("foooxen", "foooxens"),
    ("ox", "oxen"),
    ("foobox", "fooboxes"),
    ("query", "queries"),
    ("soliloquy", "soliloquies"),
];

#[test]
fn plurals_are_flects() {
    for (word, plural) in FLECT {
        assert_eq!(pluralize(word), *plural, "{word}");
    }
}

#[test]
fn a_crd_is_named_by_plural_and_group() {
    assert_eq!(crd_name("infrastructure.cluster.x-k8s.io", "FooMachineTemplate"), "foomachinetemplates.infrastructure.cluster.x-k8s.io");
    assert_eq!(crd_name("g", "IPAddress"), "ipaddresses.g");
}
