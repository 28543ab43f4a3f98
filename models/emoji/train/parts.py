"""The parts of the model, as diffusers and transformers know them, and the folder that holds them."""
import json
import os

import numpy
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SIDE, PATCH, CHANNELS, LENGTH, WIDTH = 64, 8, 16, 16, 128
FILES = {"unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors",
         "text_encoder": "model.safetensors"}
PREFIX = "text_model."  # before the text encoder's names, in files
HERE = os.path.dirname(os.path.abspath(__file__))


def make_unet():
    return UNet2DConditionModel(
        sample_size=SIDE // PATCH, in_channels=CHANNELS, out_channels=CHANNELS, block_out_channels=(96, 128),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1, norm_num_groups=16, cross_attention_dim=WIDTH, attention_head_dim=4,
        use_linear_projection=True)


def make_text_encoder():
    tokenizer = make_tokenizer()
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))


def make_tokenizer():
    return CLIPTokenizer.from_pretrained(os.path.join(HERE, "../tokenizer"))


def make_vae():
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 64), layers_per_block=1, latent_channels=CHANNELS, norm_num_groups=8,
        sample_size=SIDE, scaling_factor=1.0, mid_block_add_attention=False)


def make_scheduler():
    return DDIMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", clip_sample=False,
                         timestep_spacing="trailing", set_alpha_to_one=True, steps_offset=1)


MAKERS = {"unet": make_unet, "text_encoder": make_text_encoder, "vae": make_vae}


def load(part, folder):
    """A part with the folder's weights, or with new ones if it has none."""
    model = MAKERS[part]()
    path = os.path.join(folder, part, FILES[part])
    if os.path.exists(path):
        model.load_state_dict({k.removeprefix(PREFIX): v.float() for k, v in load_file(path).items()})
    return model


def save(part, model, folder, state=None):
    """config.json and the weights in F16."""
    folder = os.path.join(folder, part)
    os.makedirs(folder, exist_ok=True)
    state = model.state_dict() if state is None else state
    if part == "text_encoder":
        model.config.architectures = ["CLIPTextModel"]
        model.config.dtype = torch.float32  # for loading: diffusers takes the other parts so, too
        model.config.save_pretrained(folder)
        state = {PREFIX + k: v for k, v in state.items()}
    else:
        model.save_config(folder)
    path = os.path.join(folder, FILES[part])
    save_file({k: v.half().contiguous() for k, v in state.items() if v.is_floating_point()}, path + ".new",
              metadata={"format": "pt"})
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)


def save_index(folder):
    make_scheduler().save_config(os.path.join(folder, "scheduler"))
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0",
             "feature_extractor": [None, None], "requires_safety_checker": False, "safety_checker": [None, None],
             "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
             "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", "AutoencoderKL"]}
    with open(os.path.join(folder, "model_index.json"), "w") as file:
        json.dump(index, file, indent=1)
        file.write("\n")


class Patches:
    """Latents are what the autoencoder shall make of a picture: principal components of patches of 8 x 8, the
    strong ones damped to the root of their deviation. They are linear, so nothing has to be trained for them."""

    def __init__(self, pictures):
        x = self.cut(pictures[::3])
        self.mean = x.mean(0)
        values, vectors = torch.linalg.eigh((x - self.mean).T @ (x - self.mean) / len(x))
        deviations = values[-CHANNELS:].flip(0).sqrt()
        damped = deviations.sqrt()
        damped /= damped.square().mean().sqrt()
        self.matrix = vectors[:, -CHANNELS:].flip(1) * (damped / deviations)

    @staticmethod
    def cut(pictures):
        """[n, 3, 64, 64] to rows of 192."""
        return torch.nn.functional.unfold(pictures, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH ** 2)

    def latents(self, pictures):
        z = (self.cut(pictures) - self.mean) @ self.matrix
        n = SIDE // PATCH
        return z.view(len(pictures), n, n, CHANNELS).permute(0, 3, 1, 2).contiguous()


def read_data(path):
    """Pictures in -1 .. 1 [n, 3, 64, 64], and what data.py tells about each."""
    data = numpy.load(path)
    pictures = torch.from_numpy(data["pictures"]).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pictures, json.loads(str(data["rows"]))
