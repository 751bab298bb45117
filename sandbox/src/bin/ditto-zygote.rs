//! The smallest executable that embeds the sandbox: nothing but a zygote. Tests and benches run it, because their own
//! executables start threads before `main` could ask.

fn main() {
    ditto_sandbox::enter_if_zygote();
    eprintln!("ditto-zygote is started by the sandbox, not by hand");
    std::process::exit(2);
}
